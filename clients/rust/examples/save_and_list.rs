//! Streams an image file to ImageStorage, repeats what fails in passing, and lists the newest images.
use std::cmp::min;
use std::env;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use image_storage::v1::image_storage_client::ImageStorageClient;
use image_storage::v1::save_request::Payload;
use image_storage::v1::{ImageMetadata, ListRequest, SaveHeader, SaveRequest, SaveResponse};
use tokio::fs::{self, File};
use tokio::time::{sleep, timeout};
use tokio_stream::{StreamExt, once};
use tokio_util::io::ReaderStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_types::StatusExt;

const CHUNK_BYTES: usize = 256 * 1024;
const MAX_RETRIES: u32 = 6;
const CONNECT_TIMEOUT: Duration = Duration::from_millis(2_500);
const SAVE_TIMEOUT: Duration = Duration::from_secs(600);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let file = PathBuf::from(env::args_os().nth(1).ok_or("which image?")?);
    let address = env::var("IMAGE_STORAGE_ADDRESS").unwrap_or("127.0.0.1:50051".into());
    let channel = reach(&address).await?;
    let mut storage = ImageStorageClient::new(channel);

    let header = header_of(&file).await?;
    let saved = timeout(SAVE_TIMEOUT, save(&mut storage, &file, &header)).await??;
    let image = saved.image.unwrap_or_default();
    let link = image_storage::link(&uri_of(&address), &image);
    println!("saved {} at {link}", image.filename);

    let request = ListRequest {
        limit: 10,
        ..Default::default()
    };
    let mut batches = storage.list(request).await?.into_inner();
    while let Some(batch) = batches.message().await? {
        for image in batch.images {
            println!(
                "{}: {}",
                image.filename,
                image.metadata.unwrap_or_default().prompt
            );
        }
    }
    Ok(())
}

/// `host:port` or `unix:/path`; the connection is made by the first call.
pub fn connect(address: &str) -> Result<Channel, tonic::transport::Error> {
    Ok(Endpoint::from_shared(uri_of(address))?.connect_lazy())
}

fn uri_of(address: &str) -> String {
    if address.starts_with("unix:") {
        address.to_owned()
    } else {
        format!("http://{address}")
    }
}

/// Connects at once, or says why there is no daemon; retries are for one that restarts.
async fn reach(address: &str) -> Result<Channel, String> {
    let endpoint = Endpoint::from_shared(uri_of(address)).map_err(|failed| failed.to_string())?;
    let cause = match timeout(CONNECT_TIMEOUT, endpoint.connect()).await {
        Ok(Ok(channel)) => return Ok(channel),
        Ok(Err(failed)) => root_cause(&failed),
        Err(_) => "it does not answer".into(),
    };
    Err(format!("no daemon at {address}: {cause}"))
}

fn root_cause(failed: &dyn Error) -> String {
    match failed.source() {
        Some(cause) => root_cause(cause),
        None => failed.to_string(),
    }
}

async fn header_of(file: &Path) -> std::io::Result<SaveHeader> {
    Ok(SaveHeader {
        idempotency_key: format!("{:032x}", rand::random::<u128>()),
        size: Some(fs::metadata(file).await?.len()),
        metadata: Some(ImageMetadata {
            prompt: "a red fox".into(),
            model: "flux-schnell".into(),
            parameters_json: r#"{"seed": 18446744073709551615}"#.into(),
            timestamp: Some(SystemTime::now().into()),
            ..Default::default()
        }),
        ..Default::default()
    })
}

/// Every attempt sends the same idempotency key and timestamp, so that none makes a second image.
pub async fn save(
    storage: &mut ImageStorageClient<Channel>,
    file: &Path,
    header: &SaveHeader,
) -> Result<SaveResponse, Status> {
    let mut failures = 0;
    loop {
        let failed = match save_once(storage, file, header).await {
            Ok(saved) => return Ok(saved),
            Err(failed) => failed,
        };
        let Some(delay) = retry_delay(&failed).filter(|_| failures < MAX_RETRIES) else {
            return Err(failed);
        };
        let step_ms = min(5_000, 100 << failures);
        let backoff_ms = rand::random_range(step_ms / 2..step_ms);
        sleep(delay + Duration::from_millis(backoff_ms)).await;
        failures += 1;
    }
}

async fn save_once(
    storage: &mut ImageStorageClient<Channel>,
    file: &Path,
    header: &SaveHeader,
) -> Result<SaveResponse, Status> {
    // A file that cannot be read ends the stream early, and the size in the header keeps half an image out.
    let chunks = ReaderStream::with_capacity(File::open(file).await?, CHUNK_BYTES)
        .map_while(Result::ok)
        .map(Payload::Chunk);
    let requests = once(Payload::Header(header.clone()))
        .chain(chunks)
        .map(|payload| SaveRequest {
            payload: Some(payload),
        });
    Ok(storage.save(requests).await?.into_inner())
}

/// How long to wait at least before the same call is worth another try; none when it is not.
fn retry_delay(failed: &Status) -> Option<Duration> {
    let asked = failed
        .get_details_retry_info()
        .and_then(|info| info.retry_delay);
    // tonic reports a connection that broke as UNKNOWN or CANCELLED.
    let broken = failed
        .source()
        .is_some_and(|cause| cause.is::<tonic::transport::Error>());
    asked.or((broken || failed.code() == Code::Unavailable).then_some(Duration::ZERO))
}
