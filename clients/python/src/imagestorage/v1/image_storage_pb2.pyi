from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Embedded(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EMBEDDED_UNSPECIFIED: _ClassVar[Embedded]
    EMBEDDED_FILL: _ClassVar[Embedded]
    EMBEDDED_IGNORE: _ClassVar[Embedded]

class Order(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ORDER_UNSPECIFIED: _ClassVar[Order]
    ORDER_NEWEST_FIRST: _ClassVar[Order]
    ORDER_OLDEST_FIRST: _ClassVar[Order]

class View(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VIEW_UNSPECIFIED: _ClassVar[View]
    VIEW_ROW: _ClassVar[View]

class GroupBy(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    GROUP_BY_UNSPECIFIED: _ClassVar[GroupBy]
    GROUP_BY_DAY: _ClassVar[GroupBy]
    GROUP_BY_MONTH: _ClassVar[GroupBy]
    GROUP_BY_MODEL: _ClassVar[GroupBy]
    GROUP_BY_CATEGORY: _ClassVar[GroupBy]
    GROUP_BY_TAG: _ClassVar[GroupBy]
    GROUP_BY_LORA: _ClassVar[GroupBy]
EMBEDDED_UNSPECIFIED: Embedded
EMBEDDED_FILL: Embedded
EMBEDDED_IGNORE: Embedded
ORDER_UNSPECIFIED: Order
ORDER_NEWEST_FIRST: Order
ORDER_OLDEST_FIRST: Order
VIEW_UNSPECIFIED: View
VIEW_ROW: View
GROUP_BY_UNSPECIFIED: GroupBy
GROUP_BY_DAY: GroupBy
GROUP_BY_MONTH: GroupBy
GROUP_BY_MODEL: GroupBy
GROUP_BY_CATEGORY: GroupBy
GROUP_BY_TAG: GroupBy
GROUP_BY_LORA: GroupBy

class ImageMetadata(_message.Message):
    __slots__ = ("prompt", "model", "timestamp", "category", "parameters_json", "tags")
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    PARAMETERS_JSON_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    prompt: str
    model: str
    timestamp: _timestamp_pb2.Timestamp
    category: str
    parameters_json: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, prompt: _Optional[str] = ..., model: _Optional[str] = ..., timestamp: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., category: _Optional[str] = ..., parameters_json: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ...) -> None: ...

class Generation(_message.Message):
    __slots__ = ("negative_prompt", "seed", "steps", "cfg", "sampler", "scheduler", "loras", "width", "height")
    NEGATIVE_PROMPT_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    CFG_FIELD_NUMBER: _ClassVar[int]
    SAMPLER_FIELD_NUMBER: _ClassVar[int]
    SCHEDULER_FIELD_NUMBER: _ClassVar[int]
    LORAS_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    negative_prompt: str
    seed: str
    steps: int
    cfg: float
    sampler: str
    scheduler: str
    loras: _containers.RepeatedScalarFieldContainer[str]
    width: int
    height: int
    def __init__(self, negative_prompt: _Optional[str] = ..., seed: _Optional[str] = ..., steps: _Optional[int] = ..., cfg: _Optional[float] = ..., sampler: _Optional[str] = ..., scheduler: _Optional[str] = ..., loras: _Optional[_Iterable[str]] = ..., width: _Optional[int] = ..., height: _Optional[int] = ...) -> None: ...

class Image(_message.Message):
    __slots__ = ("url", "filename", "path", "size", "storage_type", "metadata", "provider", "sha256", "content_type", "width", "height", "create_time", "pinned", "key", "generation", "thumb_hash", "expire_time", "delete_time", "purge_time")
    URL_FIELD_NUMBER: _ClassVar[int]
    FILENAME_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    STORAGE_TYPE_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    CONTENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    PINNED_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    THUMB_HASH_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    DELETE_TIME_FIELD_NUMBER: _ClassVar[int]
    PURGE_TIME_FIELD_NUMBER: _ClassVar[int]
    url: str
    filename: str
    path: str
    size: int
    storage_type: str
    metadata: ImageMetadata
    provider: str
    sha256: bytes
    content_type: str
    width: int
    height: int
    create_time: _timestamp_pb2.Timestamp
    pinned: bool
    key: str
    generation: Generation
    thumb_hash: bytes
    expire_time: _timestamp_pb2.Timestamp
    delete_time: _timestamp_pb2.Timestamp
    purge_time: _timestamp_pb2.Timestamp
    def __init__(self, url: _Optional[str] = ..., filename: _Optional[str] = ..., path: _Optional[str] = ..., size: _Optional[int] = ..., storage_type: _Optional[str] = ..., metadata: _Optional[_Union[ImageMetadata, _Mapping]] = ..., provider: _Optional[str] = ..., sha256: _Optional[bytes] = ..., content_type: _Optional[str] = ..., width: _Optional[int] = ..., height: _Optional[int] = ..., create_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., pinned: bool = ..., key: _Optional[str] = ..., generation: _Optional[_Union[Generation, _Mapping]] = ..., thumb_hash: _Optional[bytes] = ..., expire_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., delete_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., purge_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class SaveRequest(_message.Message):
    __slots__ = ("header", "chunk", "trailer")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    TRAILER_FIELD_NUMBER: _ClassVar[int]
    header: SaveHeader
    chunk: bytes
    trailer: SaveTrailer
    def __init__(self, header: _Optional[_Union[SaveHeader, _Mapping]] = ..., chunk: _Optional[bytes] = ..., trailer: _Optional[_Union[SaveTrailer, _Mapping]] = ...) -> None: ...

class SaveHeader(_message.Message):
    __slots__ = ("metadata", "provider", "idempotency_key", "size", "sha256", "content_type", "pinned", "embedded", "unless_deleted", "ttl")
    METADATA_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    CONTENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    PINNED_FIELD_NUMBER: _ClassVar[int]
    EMBEDDED_FIELD_NUMBER: _ClassVar[int]
    UNLESS_DELETED_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    metadata: ImageMetadata
    provider: str
    idempotency_key: str
    size: int
    sha256: bytes
    content_type: str
    pinned: bool
    embedded: Embedded
    unless_deleted: bool
    ttl: _duration_pb2.Duration
    def __init__(self, metadata: _Optional[_Union[ImageMetadata, _Mapping]] = ..., provider: _Optional[str] = ..., idempotency_key: _Optional[str] = ..., size: _Optional[int] = ..., sha256: _Optional[bytes] = ..., content_type: _Optional[str] = ..., pinned: bool = ..., embedded: _Optional[_Union[Embedded, str]] = ..., unless_deleted: bool = ..., ttl: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class SaveTrailer(_message.Message):
    __slots__ = ("size", "sha256")
    SIZE_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    size: int
    sha256: bytes
    def __init__(self, size: _Optional[int] = ..., sha256: _Optional[bytes] = ...) -> None: ...

class SaveResponse(_message.Message):
    __slots__ = ("image", "replayed", "deleted")
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    REPLAYED_FIELD_NUMBER: _ClassVar[int]
    DELETED_FIELD_NUMBER: _ClassVar[int]
    image: Image
    replayed: bool
    deleted: bool
    def __init__(self, image: _Optional[_Union[Image, _Mapping]] = ..., replayed: bool = ..., deleted: bool = ...) -> None: ...

class GetRequest(_message.Message):
    __slots__ = ("filename", "provider", "offset", "limit", "metadata_only")
    FILENAME_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    METADATA_ONLY_FIELD_NUMBER: _ClassVar[int]
    filename: str
    provider: str
    offset: int
    limit: int
    metadata_only: bool
    def __init__(self, filename: _Optional[str] = ..., provider: _Optional[str] = ..., offset: _Optional[int] = ..., limit: _Optional[int] = ..., metadata_only: bool = ...) -> None: ...

class GetResponse(_message.Message):
    __slots__ = ("image", "chunk")
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    image: Image
    chunk: bytes
    def __init__(self, image: _Optional[_Union[Image, _Mapping]] = ..., chunk: _Optional[bytes] = ...) -> None: ...

class DateRange(_message.Message):
    __slots__ = ("start", "end")
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    start: _timestamp_pb2.Timestamp
    end: _timestamp_pb2.Timestamp
    def __init__(self, start: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., end: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ListRequest(_message.Message):
    __slots__ = ("provider", "date_range", "model", "category", "query", "tags", "pinned", "order", "limit", "page_token", "batch_size", "hints", "view")
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    DATE_RANGE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    PINNED_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    BATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
    HINTS_FIELD_NUMBER: _ClassVar[int]
    VIEW_FIELD_NUMBER: _ClassVar[int]
    provider: str
    date_range: DateRange
    model: str
    category: str
    query: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    pinned: bool
    order: Order
    limit: int
    page_token: str
    batch_size: int
    hints: bool
    view: View
    def __init__(self, provider: _Optional[str] = ..., date_range: _Optional[_Union[DateRange, _Mapping]] = ..., model: _Optional[str] = ..., category: _Optional[str] = ..., query: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ..., pinned: bool = ..., order: _Optional[_Union[Order, str]] = ..., limit: _Optional[int] = ..., page_token: _Optional[str] = ..., batch_size: _Optional[int] = ..., hints: bool = ..., view: _Optional[_Union[View, str]] = ...) -> None: ...

class ListResponse(_message.Message):
    __slots__ = ("images", "next_page_token", "hints")
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    HINTS_FIELD_NUMBER: _ClassVar[int]
    images: _containers.RepeatedCompositeFieldContainer[Image]
    next_page_token: str
    hints: _containers.RepeatedCompositeFieldContainer[Hint]
    def __init__(self, images: _Optional[_Iterable[_Union[Image, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., hints: _Optional[_Iterable[_Union[Hint, _Mapping]]] = ...) -> None: ...

class Hint(_message.Message):
    __slots__ = ("field", "values")
    FIELD_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    field: str
    values: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, field: _Optional[str] = ..., values: _Optional[_Iterable[str]] = ...) -> None: ...

class UpdateRequest(_message.Message):
    __slots__ = ("filename", "provider", "pinned", "add_tags", "remove_tags", "category")
    FILENAME_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    PINNED_FIELD_NUMBER: _ClassVar[int]
    ADD_TAGS_FIELD_NUMBER: _ClassVar[int]
    REMOVE_TAGS_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    filename: str
    provider: str
    pinned: bool
    add_tags: _containers.RepeatedScalarFieldContainer[str]
    remove_tags: _containers.RepeatedScalarFieldContainer[str]
    category: str
    def __init__(self, filename: _Optional[str] = ..., provider: _Optional[str] = ..., pinned: bool = ..., add_tags: _Optional[_Iterable[str]] = ..., remove_tags: _Optional[_Iterable[str]] = ..., category: _Optional[str] = ...) -> None: ...

class UpdateResponse(_message.Message):
    __slots__ = ("image",)
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    image: Image
    def __init__(self, image: _Optional[_Union[Image, _Mapping]] = ...) -> None: ...

class DeleteRequest(_message.Message):
    __slots__ = ("filenames", "provider", "permanent")
    FILENAMES_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    PERMANENT_FIELD_NUMBER: _ClassVar[int]
    filenames: _containers.RepeatedScalarFieldContainer[str]
    provider: str
    permanent: bool
    def __init__(self, filenames: _Optional[_Iterable[str]] = ..., provider: _Optional[str] = ..., permanent: bool = ...) -> None: ...

class DeleteResult(_message.Message):
    __slots__ = ("filename", "deleted", "reason", "restorable_until")
    FILENAME_FIELD_NUMBER: _ClassVar[int]
    DELETED_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    RESTORABLE_UNTIL_FIELD_NUMBER: _ClassVar[int]
    filename: str
    deleted: bool
    reason: str
    restorable_until: _timestamp_pb2.Timestamp
    def __init__(self, filename: _Optional[str] = ..., deleted: bool = ..., reason: _Optional[str] = ..., restorable_until: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class DeleteResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[DeleteResult]
    def __init__(self, results: _Optional[_Iterable[_Union[DeleteResult, _Mapping]]] = ...) -> None: ...

class RestoreRequest(_message.Message):
    __slots__ = ("filenames", "provider")
    FILENAMES_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    filenames: _containers.RepeatedScalarFieldContainer[str]
    provider: str
    def __init__(self, filenames: _Optional[_Iterable[str]] = ..., provider: _Optional[str] = ...) -> None: ...

class RestoreResult(_message.Message):
    __slots__ = ("filename", "restored", "reason")
    FILENAME_FIELD_NUMBER: _ClassVar[int]
    RESTORED_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    filename: str
    restored: bool
    reason: str
    def __init__(self, filename: _Optional[str] = ..., restored: bool = ..., reason: _Optional[str] = ...) -> None: ...

class RestoreResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[RestoreResult]
    def __init__(self, results: _Optional[_Iterable[_Union[RestoreResult, _Mapping]]] = ...) -> None: ...

class ListTrashRequest(_message.Message):
    __slots__ = ("provider", "query", "limit", "page_token")
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    provider: str
    query: str
    limit: int
    page_token: str
    def __init__(self, provider: _Optional[str] = ..., query: _Optional[str] = ..., limit: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListTrashResponse(_message.Message):
    __slots__ = ("images", "next_page_token")
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    images: _containers.RepeatedCompositeFieldContainer[Image]
    next_page_token: str
    def __init__(self, images: _Optional[_Iterable[_Union[Image, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class PurgeRequest(_message.Message):
    __slots__ = ("filenames", "all", "provider")
    FILENAMES_FIELD_NUMBER: _ClassVar[int]
    ALL_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    filenames: _containers.RepeatedScalarFieldContainer[str]
    all: bool
    provider: str
    def __init__(self, filenames: _Optional[_Iterable[str]] = ..., all: bool = ..., provider: _Optional[str] = ...) -> None: ...

class PurgeResponse(_message.Message):
    __slots__ = ("count", "bytes", "more")
    COUNT_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    count: int
    bytes: int
    more: bool
    def __init__(self, count: _Optional[int] = ..., bytes: _Optional[int] = ..., more: bool = ...) -> None: ...

class CleanupRequest(_message.Message):
    __slots__ = ("provider", "older_than", "keep_count", "keep_bytes", "model", "category", "dry_run", "max_deletes", "older_than_age", "selection", "permanent", "policy")
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    OLDER_THAN_FIELD_NUMBER: _ClassVar[int]
    KEEP_COUNT_FIELD_NUMBER: _ClassVar[int]
    KEEP_BYTES_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    MAX_DELETES_FIELD_NUMBER: _ClassVar[int]
    OLDER_THAN_AGE_FIELD_NUMBER: _ClassVar[int]
    SELECTION_FIELD_NUMBER: _ClassVar[int]
    PERMANENT_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    provider: str
    older_than: _timestamp_pb2.Timestamp
    keep_count: int
    keep_bytes: int
    model: str
    category: str
    dry_run: bool
    max_deletes: int
    older_than_age: _duration_pb2.Duration
    selection: Selection
    permanent: bool
    policy: str
    def __init__(self, provider: _Optional[str] = ..., older_than: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., keep_count: _Optional[int] = ..., keep_bytes: _Optional[int] = ..., model: _Optional[str] = ..., category: _Optional[str] = ..., dry_run: bool = ..., max_deletes: _Optional[int] = ..., older_than_age: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., selection: _Optional[_Union[Selection, _Mapping]] = ..., permanent: bool = ..., policy: _Optional[str] = ...) -> None: ...

class Selection(_message.Message):
    __slots__ = ("date_range", "model", "category", "query", "tags", "pinned", "only", "plan", "older_than", "older_than_age", "keep_count", "keep_bytes")
    DATE_RANGE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    PINNED_FIELD_NUMBER: _ClassVar[int]
    ONLY_FIELD_NUMBER: _ClassVar[int]
    EXCEPT_FIELD_NUMBER: _ClassVar[int]
    PLAN_FIELD_NUMBER: _ClassVar[int]
    OLDER_THAN_FIELD_NUMBER: _ClassVar[int]
    OLDER_THAN_AGE_FIELD_NUMBER: _ClassVar[int]
    KEEP_COUNT_FIELD_NUMBER: _ClassVar[int]
    KEEP_BYTES_FIELD_NUMBER: _ClassVar[int]
    date_range: DateRange
    model: str
    category: str
    query: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    pinned: bool
    only: _containers.RepeatedScalarFieldContainer[str]
    plan: bytes
    older_than: _timestamp_pb2.Timestamp
    older_than_age: _duration_pb2.Duration
    keep_count: int
    keep_bytes: int
    def __init__(self, date_range: _Optional[_Union[DateRange, _Mapping]] = ..., model: _Optional[str] = ..., category: _Optional[str] = ..., query: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ..., pinned: bool = ..., only: _Optional[_Iterable[str]] = ..., plan: _Optional[bytes] = ..., older_than: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., older_than_age: _Optional[_Union[_duration_pb2.Duration, _Mapping]] = ..., keep_count: _Optional[int] = ..., keep_bytes: _Optional[int] = ..., **kwargs) -> None: ...

class CleanupResponse(_message.Message):
    __slots__ = ("deleted_count", "freed_bytes", "filenames", "kept_pinned", "dry_run", "more", "plan", "reasons", "restorable_until", "kept_future", "kept_changed")
    DELETED_COUNT_FIELD_NUMBER: _ClassVar[int]
    FREED_BYTES_FIELD_NUMBER: _ClassVar[int]
    FILENAMES_FIELD_NUMBER: _ClassVar[int]
    KEPT_PINNED_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    PLAN_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    RESTORABLE_UNTIL_FIELD_NUMBER: _ClassVar[int]
    KEPT_FUTURE_FIELD_NUMBER: _ClassVar[int]
    KEPT_CHANGED_FIELD_NUMBER: _ClassVar[int]
    deleted_count: int
    freed_bytes: int
    filenames: _containers.RepeatedScalarFieldContainer[str]
    kept_pinned: int
    dry_run: bool
    more: bool
    plan: bytes
    reasons: _containers.RepeatedCompositeFieldContainer[Reason]
    restorable_until: _timestamp_pb2.Timestamp
    kept_future: int
    kept_changed: int
    def __init__(self, deleted_count: _Optional[int] = ..., freed_bytes: _Optional[int] = ..., filenames: _Optional[_Iterable[str]] = ..., kept_pinned: _Optional[int] = ..., dry_run: bool = ..., more: bool = ..., plan: _Optional[bytes] = ..., reasons: _Optional[_Iterable[_Union[Reason, _Mapping]]] = ..., restorable_until: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., kept_future: _Optional[int] = ..., kept_changed: _Optional[int] = ...) -> None: ...

class Reason(_message.Message):
    __slots__ = ("text", "count", "bytes")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    text: str
    count: int
    bytes: int
    def __init__(self, text: _Optional[str] = ..., count: _Optional[int] = ..., bytes: _Optional[int] = ...) -> None: ...

class StatsRequest(_message.Message):
    __slots__ = ("provider", "date_range", "model", "category", "query", "tags", "pinned", "by", "starts_with", "time_zone", "limit")
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    DATE_RANGE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    PINNED_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    STARTS_WITH_FIELD_NUMBER: _ClassVar[int]
    TIME_ZONE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    provider: str
    date_range: DateRange
    model: str
    category: str
    query: str
    tags: _containers.RepeatedScalarFieldContainer[str]
    pinned: bool
    by: GroupBy
    starts_with: str
    time_zone: str
    limit: int
    def __init__(self, provider: _Optional[str] = ..., date_range: _Optional[_Union[DateRange, _Mapping]] = ..., model: _Optional[str] = ..., category: _Optional[str] = ..., query: _Optional[str] = ..., tags: _Optional[_Iterable[str]] = ..., pinned: bool = ..., by: _Optional[_Union[GroupBy, str]] = ..., starts_with: _Optional[str] = ..., time_zone: _Optional[str] = ..., limit: _Optional[int] = ...) -> None: ...

class StatsResponse(_message.Message):
    __slots__ = ("providers", "total", "groups", "more")
    PROVIDERS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    providers: _containers.RepeatedCompositeFieldContainer[ProviderStats]
    total: Totals
    groups: _containers.RepeatedCompositeFieldContainer[GroupStats]
    more: bool
    def __init__(self, providers: _Optional[_Iterable[_Union[ProviderStats, _Mapping]]] = ..., total: _Optional[_Union[Totals, _Mapping]] = ..., groups: _Optional[_Iterable[_Union[GroupStats, _Mapping]]] = ..., more: bool = ...) -> None: ...

class Totals(_message.Message):
    __slots__ = ("count", "bytes", "oldest", "newest")
    COUNT_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    OLDEST_FIELD_NUMBER: _ClassVar[int]
    NEWEST_FIELD_NUMBER: _ClassVar[int]
    count: int
    bytes: int
    oldest: _timestamp_pb2.Timestamp
    newest: _timestamp_pb2.Timestamp
    def __init__(self, count: _Optional[int] = ..., bytes: _Optional[int] = ..., oldest: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., newest: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ProviderStats(_message.Message):
    __slots__ = ("provider", "storage_type", "count", "bytes", "oldest", "newest", "by_model", "by_category", "by_date", "pinned_count", "capacity_bytes", "free_bytes", "trash_count", "trash_bytes", "policies")
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    STORAGE_TYPE_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    OLDEST_FIELD_NUMBER: _ClassVar[int]
    NEWEST_FIELD_NUMBER: _ClassVar[int]
    BY_MODEL_FIELD_NUMBER: _ClassVar[int]
    BY_CATEGORY_FIELD_NUMBER: _ClassVar[int]
    BY_DATE_FIELD_NUMBER: _ClassVar[int]
    PINNED_COUNT_FIELD_NUMBER: _ClassVar[int]
    CAPACITY_BYTES_FIELD_NUMBER: _ClassVar[int]
    FREE_BYTES_FIELD_NUMBER: _ClassVar[int]
    TRASH_COUNT_FIELD_NUMBER: _ClassVar[int]
    TRASH_BYTES_FIELD_NUMBER: _ClassVar[int]
    POLICIES_FIELD_NUMBER: _ClassVar[int]
    provider: str
    storage_type: str
    count: int
    bytes: int
    oldest: _timestamp_pb2.Timestamp
    newest: _timestamp_pb2.Timestamp
    by_model: _containers.RepeatedCompositeFieldContainer[GroupStats]
    by_category: _containers.RepeatedCompositeFieldContainer[GroupStats]
    by_date: _containers.RepeatedCompositeFieldContainer[GroupStats]
    pinned_count: int
    capacity_bytes: int
    free_bytes: int
    trash_count: int
    trash_bytes: int
    policies: _containers.RepeatedCompositeFieldContainer[PolicyStats]
    def __init__(self, provider: _Optional[str] = ..., storage_type: _Optional[str] = ..., count: _Optional[int] = ..., bytes: _Optional[int] = ..., oldest: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., newest: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., by_model: _Optional[_Iterable[_Union[GroupStats, _Mapping]]] = ..., by_category: _Optional[_Iterable[_Union[GroupStats, _Mapping]]] = ..., by_date: _Optional[_Iterable[_Union[GroupStats, _Mapping]]] = ..., pinned_count: _Optional[int] = ..., capacity_bytes: _Optional[int] = ..., free_bytes: _Optional[int] = ..., trash_count: _Optional[int] = ..., trash_bytes: _Optional[int] = ..., policies: _Optional[_Iterable[_Union[PolicyStats, _Mapping]]] = ...) -> None: ...

class PolicyStats(_message.Message):
    __slots__ = ("name", "last_run", "next_run", "announced", "last_count", "last_bytes")
    NAME_FIELD_NUMBER: _ClassVar[int]
    LAST_RUN_FIELD_NUMBER: _ClassVar[int]
    NEXT_RUN_FIELD_NUMBER: _ClassVar[int]
    ANNOUNCED_FIELD_NUMBER: _ClassVar[int]
    LAST_COUNT_FIELD_NUMBER: _ClassVar[int]
    LAST_BYTES_FIELD_NUMBER: _ClassVar[int]
    name: str
    last_run: _timestamp_pb2.Timestamp
    next_run: _timestamp_pb2.Timestamp
    announced: bool
    last_count: int
    last_bytes: int
    def __init__(self, name: _Optional[str] = ..., last_run: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., next_run: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., announced: bool = ..., last_count: _Optional[int] = ..., last_bytes: _Optional[int] = ...) -> None: ...

class GroupStats(_message.Message):
    __slots__ = ("name", "count", "bytes", "rest")
    NAME_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    REST_FIELD_NUMBER: _ClassVar[int]
    name: str
    count: int
    bytes: int
    rest: bool
    def __init__(self, name: _Optional[str] = ..., count: _Optional[int] = ..., bytes: _Optional[int] = ..., rest: bool = ...) -> None: ...
