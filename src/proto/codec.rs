//! How messages become bytes, and bytes messages: prost's way, with buffers of their size.
//!
//! tonic's own codec begins every question and every answer with 8 KiB. Ours are some hundred
//! bytes, of thousands of calls at once, and are to stay in the processor's cache.

use prost::{Message, bytes::Buf as _};
use std::marker::PhantomData;
use tonic::{
    Status,
    codec::{
        BufferSettings, Codec as Tonics, DecodeBuf, Decoder as Decodes, EncodeBuf,
        Encoder as Encodes,
    },
};

/// Room for almost every answer; a longer one grows.
const ANSWER_BYTES: usize = 1024;
/// What tonic gathers of a stream of messages before it sends them.
const STREAM_BYTES: usize = 32 * 1024;

/// The codec of every generated service.
#[derive(Debug)]
pub struct Codec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for Codec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Tonics for Codec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = Encoder<T>;
    type Decoder = Decoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        Encoder(PhantomData)
    }

    fn decoder(&mut self) -> Self::Decoder {
        Decoder(PhantomData)
    }
}

/// Encodes into a buffer that grows at most once a message.
#[derive(Debug)]
pub struct Encoder<T>(PhantomData<T>);

impl<T: Message> Encodes for Encoder<T> {
    type Item = T;
    type Error = Status;

    fn encode(&mut self, message: T, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.reserve(message.encoded_len());
        message.encode_raw(buffer);
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(ANSWER_BYTES, STREAM_BYTES)
    }
}

/// Decodes from bytes that the message may share.
#[derive(Debug)]
pub struct Decoder<U>(PhantomData<U>);

impl<U: Message + Default> Decodes for Decoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        let bytes = buffer.copy_to_bytes(buffer.remaining());
        let message = U::decode(bytes);
        message
            .map(Some)
            .map_err(|error| Status::internal(error.to_string()))
    }

    /// Nothing before the length of the message is known.
    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(0, STREAM_BYTES)
    }
}
