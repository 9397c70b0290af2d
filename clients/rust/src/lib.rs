//! The generated client of ImageStorage, the gRPC storage daemon for generated images.
//!
//! `examples/save_and_list.rs` shows how to stream a file, repeat what fails in passing, and list.

/// The contract's messages and clients, for tonic.
#[allow(clippy::all, rustdoc::all)]
pub mod v1 {
    include!("generated/imagestorage.v1.rs");
}

/// The URL of an image made absolute, to open or to send. `base` is where the daemon answers, such as
/// `http://localhost:50051`: without a publicUrl, the URL of an image is a path there. Over a Unix socket it stays one.
pub fn link(base: &str, image: &v1::Image) -> String {
    if image.url.starts_with('/') && base.starts_with("http") {
        format!("{}{}", base.trim_end_matches('/'), image.url)
    } else {
        image.url.clone()
    }
}
