//! Streams one image file to ImageStorage; save_and_list also repeats what fails in passing.
use std::error::Error;
use std::time::SystemTime;

use image_storage::v1::image_storage_client::ImageStorageClient;
use image_storage::v1::save_request::Payload;
use image_storage::v1::{ImageMetadata, SaveHeader, SaveRequest};
use tokio::fs::File;
use tokio_stream::{StreamExt, once};
use tokio_util::io::ReaderStream;

const ADDRESS: &str = "http://localhost:50051";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let file = File::open("fox.png").await?;
    let header = SaveHeader {
        idempotency_key: format!("{:032x}", rand::random::<u128>()),
        size: Some(file.metadata().await?.len()),
        metadata: Some(ImageMetadata {
            prompt: "a red fox".into(),
            model: "flux-schnell".into(),
            parameters_json: r#"{"seed": 7}"#.into(),
            timestamp: Some(SystemTime::now().into()),
            ..Default::default()
        }),
        ..Default::default()
    };
    // A file that cannot be read ends the stream early, and the size in the header keeps half an image out.
    let chunks = ReaderStream::with_capacity(file, 256 * 1024)
        .map_while(Result::ok)
        .map(Payload::Chunk);
    let requests = once(Payload::Header(header))
        .chain(chunks)
        .map(|payload| SaveRequest {
            payload: Some(payload),
        });

    let mut storage = ImageStorageClient::connect(ADDRESS).await?;
    let image = storage.save(requests).await?.into_inner().image;
    // An absolute URL, also where the daemon has no publicUrl.
    println!(
        "{}",
        image_storage::link(ADDRESS, &image.unwrap_or_default())
    );
    Ok(())
}
