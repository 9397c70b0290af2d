//! Prints the newest images that match.
use image_storage::v1::{ListRequest, image_storage_client::ImageStorageClient};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut storage = ImageStorageClient::connect("http://localhost:50051").await?;
    let request = ListRequest {
        query: "red fox".into(),
        limit: 20,
        ..Default::default()
    };
    let mut batches = storage.list(request).await?.into_inner();
    while let Some(batch) = batches.message().await? {
        for image in batch.images {
            println!("{}", image.filename);
        }
    }
    Ok(())
}
