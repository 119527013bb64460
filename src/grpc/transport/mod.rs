//! The listeners: plain or TLS, and one for proxies that forward whom they verified.

mod certificate;
mod listener;
mod material;
mod peer;
mod stream;

pub use certificate::CertificateFault;
pub use listener::{Address, Bound, Incoming, Listeners, bind};
pub use material::{ClientCertificates, Material, MaterialError, Source, Terms, Tls, TlsVersion};
pub use peer::{Peer, Trust};
pub use stream::{Preface, Stream};
