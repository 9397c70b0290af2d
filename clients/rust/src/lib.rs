//! The generated client of ImageStorage, the gRPC storage daemon for generated images.
//!
//! `examples/save_and_list.rs` shows how to stream a file, repeat what fails in passing, and list.

/// The contract's messages and clients, for tonic.
#[allow(clippy::all, rustdoc::all)]
pub mod v1 {
    include!("generated/imagestorage.v1.rs");
}
