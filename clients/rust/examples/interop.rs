//! The interop runner of test/interop/README.md: the generated client, and `save` of the example.
use std::error::Error;
use std::io::stdin;

use image_storage::v1::get_response::Payload;
use image_storage::v1::image_storage_client::ImageStorageClient;
use image_storage::v1::{
    DateRange, Embedded, Generation, GetRequest, GroupBy, Image, ImageMetadata, ListRequest, Order,
    SaveHeader, StatsRequest, View,
};
use prost_types::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tonic::Status;
use tonic::transport::Channel;
use tonic_types::StatusExt;

#[allow(dead_code)]
mod save_and_list;

#[derive(Deserialize)]
struct Line {
    address: String,
    #[serde(flatten)]
    command: Command,
}

#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "lowercase")]
enum Command {
    Save(Save),
    Get(Get),
    List(List),
    Totals(Totals),
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Save {
    file: String,
    prompt: String,
    model: String,
    category: String,
    tags: Vec<String>,
    parameters_json: String,
    timestamp_ms: Option<i64>,
    idempotency_key: Option<String>,
    content_type: String,
    pinned: bool,
    provider: String,
    embedded: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Get {
    filename: String,
    offset: u64,
    limit: u64,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct List {
    model: String,
    category: String,
    query: String,
    tags: Vec<String>,
    pinned: Option<bool>,
    start_ms: Option<i64>,
    end_ms: Option<i64>,
    order: String,
    view: String,
    limit: u32,
    hints: bool,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Totals {
    model: String,
    category: String,
    query: String,
    tags: Vec<String>,
    pinned: Option<bool>,
    start_ms: Option<i64>,
    end_ms: Option<i64>,
    by: String,
    starts_with: String,
    time_zone: String,
    limit: u32,
}

type Storage = ImageStorageClient<Channel>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    for line in stdin().lines() {
        let Line { address, command } = serde_json::from_str(&line?)?;
        let mut storage = Storage::new(save_and_list::connect(&address)?);
        let answer = match command {
            Command::Save(command) => save(&mut storage, command).await,
            Command::Get(command) => get(&mut storage, command).await,
            Command::List(command) => list(&mut storage, command).await,
            Command::Totals(command) => totals(&mut storage, command).await,
        };
        println!("{}", answer.unwrap_or_else(|failed| refused(&failed)));
    }
    Ok(())
}

async fn save(storage: &mut Storage, command: Save) -> Result<Value, Status> {
    let now = || Timestamp::from(std::time::SystemTime::now());
    let any_key = || format!("{:032x}", rand::random::<u128>());
    let embedded = match command.embedded.as_str() {
        "ignore" => Embedded::Ignore,
        _ => Embedded::Unspecified,
    };
    let header = SaveHeader {
        metadata: Some(ImageMetadata {
            prompt: command.prompt,
            model: command.model,
            timestamp: Some(command.timestamp_ms.map_or_else(now, timestamp)),
            category: command.category,
            parameters_json: command.parameters_json,
            tags: command.tags,
        }),
        provider: command.provider,
        idempotency_key: command.idempotency_key.unwrap_or_else(any_key),
        content_type: command.content_type,
        pinned: command.pinned,
        embedded: embedded.into(),
        ..Default::default()
    };
    let saved = save_and_list::save(storage, command.file.as_ref(), &header).await?;
    Ok(json!({ "image": described(saved.image.unwrap_or_default()), "replayed": saved.replayed }))
}

async fn get(storage: &mut Storage, command: Get) -> Result<Value, Status> {
    let request = GetRequest {
        filename: command.filename,
        offset: command.offset,
        limit: command.limit,
        ..Default::default()
    };
    let mut messages = storage.get(request).await?.into_inner();
    let mut size = 0;
    let mut sum = Sha256::new();
    while let Some(message) = messages.message().await? {
        if let Some(Payload::Chunk(chunk)) = message.payload {
            size += chunk.len();
            sum.update(chunk);
        }
    }
    Ok(json!({ "size": size, "sha256": hex(&sum.finalize()) }))
}

async fn list(storage: &mut Storage, command: List) -> Result<Value, Status> {
    let order = match command.order.as_str() {
        "oldest" => Order::OldestFirst,
        _ => Order::NewestFirst,
    };
    let view = match command.view.as_str() {
        "row" => View::Row,
        _ => View::Unspecified,
    };
    let request = ListRequest {
        date_range: Some(range(command.start_ms, command.end_ms)),
        model: command.model,
        category: command.category,
        query: command.query,
        tags: command.tags,
        pinned: command.pinned,
        order: order.into(),
        view: view.into(),
        limit: command.limit,
        hints: command.hints,
        ..Default::default()
    };
    let mut batches = storage.list(request).await?.into_inner();
    let mut images = Vec::new();
    let mut hints = Vec::new();
    while let Some(batch) = batches.message().await? {
        images.extend(batch.images.into_iter().map(described));
        let told = batch.hints.into_iter();
        hints.extend(told.map(|hint| json!({ "field": hint.field, "values": hint.values })));
    }
    Ok(json!({ "images": images, "hints": hints }))
}

async fn totals(storage: &mut Storage, command: Totals) -> Result<Value, Status> {
    let by = GroupBy::from_str_name(&format!("GROUP_BY_{}", command.by.to_uppercase()));
    let request = StatsRequest {
        date_range: Some(range(command.start_ms, command.end_ms)),
        model: command.model,
        category: command.category,
        query: command.query,
        tags: command.tags,
        pinned: command.pinned,
        by: by.unwrap_or_default().into(),
        starts_with: command.starts_with,
        time_zone: command.time_zone,
        limit: command.limit,
        ..Default::default()
    };
    let answer = storage.stats(request).await?.into_inner();
    let total = answer.total.unwrap_or_default();
    let groups = answer.groups.into_iter().map(|group| {
        json!({ "name": group.name, "count": group.count, "bytes": group.bytes, "rest": group.rest })
    });
    Ok(json!({
        "count": total.count,
        "bytes": total.bytes,
        "oldestMs": total.oldest.map(milliseconds),
        "newestMs": total.newest.map(milliseconds),
        "groups": groups.collect::<Vec<_>>(),
        "more": answer.more,
    }))
}

fn range(start_ms: Option<i64>, end_ms: Option<i64>) -> DateRange {
    DateRange {
        start: start_ms.map(timestamp),
        end: end_ms.map(timestamp),
    }
}

fn described(image: Image) -> Value {
    let metadata = image.metadata.unwrap_or_default();
    json!({
        "filename": image.filename,
        "size": image.size,
        "sha256": hex(&image.sha256),
        "contentType": image.content_type,
        "width": image.width,
        "height": image.height,
        "pinned": image.pinned,
        "prompt": metadata.prompt,
        "model": metadata.model,
        "category": metadata.category,
        "tags": metadata.tags,
        "parametersJson": metadata.parameters_json,
        "timestampMs": metadata.timestamp.map(milliseconds),
        "generation": image.generation.map(settings),
    })
}

fn settings(generation: Generation) -> Value {
    json!({
        "negativePrompt": generation.negative_prompt,
        "seed": generation.seed,
        "steps": generation.steps,
        "cfg": generation.cfg,
        "sampler": generation.sampler,
        "scheduler": generation.scheduler,
        "loras": generation.loras,
        "width": generation.width,
        "height": generation.height,
    })
}

fn refused(failed: &Status) -> Value {
    let mut error = json!({ "code": failed.code() as i32, "message": failed.message() });
    if let Some(info) = failed.get_details_error_info() {
        error["reason"] = info.reason.into();
    }
    if let Some(request) = failed.get_details_bad_request() {
        error["field"] = request.field_violations[0].field.as_str().into();
    }
    json!({ "error": error })
}

fn timestamp(milliseconds: i64) -> Timestamp {
    Timestamp {
        seconds: milliseconds.div_euclid(1000),
        nanos: milliseconds.rem_euclid(1000) as i32 * 1_000_000,
    }
}

fn milliseconds(time: Timestamp) -> i64 {
    time.seconds * 1000 + i64::from(time.nanos) / 1_000_000
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
