//! The options of commands that list.

use clap::Args;

/// Which part of a list is asked for.
#[derive(Args)]
pub struct Paging {
    /// At most this many, 1 to 1000 [default: 100]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub page_size: Option<u32>,
    /// Start where the page with this `next_page_token` ended
    #[arg(long, value_name = "TOKEN")]
    pub page_token: Option<String>,
    /// Follow every page to the end
    #[arg(long)]
    pub all: bool,
}

impl Paging {
    /// Whether the page after `token` is still to be fetched.
    pub fn goes_on(&self, token: &str) -> bool {
        self.all && !token.is_empty()
    }
}
