package dev.imagestorage.v1;

import static io.grpc.MethodDescriptor.generateFullMethodName;

/**
 * <pre>
 * Keeps generated images with their prompt, model and parameters, and finds them again.
 * </pre>
 */
@io.grpc.stub.annotations.GrpcGenerated
public final class ImageStorageGrpc {

  private ImageStorageGrpc() {}

  public static final java.lang.String SERVICE_NAME = "imagestorage.v1.ImageStorage";

  // Static method descriptors that strictly reflect the proto.
  private static volatile io.grpc.MethodDescriptor<dev.imagestorage.v1.SaveRequest,
      dev.imagestorage.v1.SaveResponse> getSaveMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "Save",
      requestType = dev.imagestorage.v1.SaveRequest.class,
      responseType = dev.imagestorage.v1.SaveResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.CLIENT_STREAMING)
  public static io.grpc.MethodDescriptor<dev.imagestorage.v1.SaveRequest,
      dev.imagestorage.v1.SaveResponse> getSaveMethod() {
    io.grpc.MethodDescriptor<dev.imagestorage.v1.SaveRequest, dev.imagestorage.v1.SaveResponse> getSaveMethod;
    if ((getSaveMethod = ImageStorageGrpc.getSaveMethod) == null) {
      synchronized (ImageStorageGrpc.class) {
        if ((getSaveMethod = ImageStorageGrpc.getSaveMethod) == null) {
          ImageStorageGrpc.getSaveMethod = getSaveMethod =
              io.grpc.MethodDescriptor.<dev.imagestorage.v1.SaveRequest, dev.imagestorage.v1.SaveResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.CLIENT_STREAMING)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "Save"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  dev.imagestorage.v1.SaveRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  dev.imagestorage.v1.SaveResponse.getDefaultInstance()))
              .setSchemaDescriptor(new ImageStorageMethodDescriptorSupplier("Save"))
              .build();
        }
      }
    }
    return getSaveMethod;
  }

  private static volatile io.grpc.MethodDescriptor<dev.imagestorage.v1.GetRequest,
      dev.imagestorage.v1.GetResponse> getGetMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "Get",
      requestType = dev.imagestorage.v1.GetRequest.class,
      responseType = dev.imagestorage.v1.GetResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.SERVER_STREAMING)
  public static io.grpc.MethodDescriptor<dev.imagestorage.v1.GetRequest,
      dev.imagestorage.v1.GetResponse> getGetMethod() {
    io.grpc.MethodDescriptor<dev.imagestorage.v1.GetRequest, dev.imagestorage.v1.GetResponse> getGetMethod;
    if ((getGetMethod = ImageStorageGrpc.getGetMethod) == null) {
      synchronized (ImageStorageGrpc.class) {
        if ((getGetMethod = ImageStorageGrpc.getGetMethod) == null) {
          ImageStorageGrpc.getGetMethod = getGetMethod =
              io.grpc.MethodDescriptor.<dev.imagestorage.v1.GetRequest, dev.imagestorage.v1.GetResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.SERVER_STREAMING)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "Get"))
              .setSafe(true)
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  dev.imagestorage.v1.GetRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  dev.imagestorage.v1.GetResponse.getDefaultInstance()))
              .setSchemaDescriptor(new ImageStorageMethodDescriptorSupplier("Get"))
              .build();
        }
      }
    }
    return getGetMethod;
  }

  private static volatile io.grpc.MethodDescriptor<dev.imagestorage.v1.ListRequest,
      dev.imagestorage.v1.ListResponse> getListMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "List",
      requestType = dev.imagestorage.v1.ListRequest.class,
      responseType = dev.imagestorage.v1.ListResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.SERVER_STREAMING)
  public static io.grpc.MethodDescriptor<dev.imagestorage.v1.ListRequest,
      dev.imagestorage.v1.ListResponse> getListMethod() {
    io.grpc.MethodDescriptor<dev.imagestorage.v1.ListRequest, dev.imagestorage.v1.ListResponse> getListMethod;
    if ((getListMethod = ImageStorageGrpc.getListMethod) == null) {
      synchronized (ImageStorageGrpc.class) {
        if ((getListMethod = ImageStorageGrpc.getListMethod) == null) {
          ImageStorageGrpc.getListMethod = getListMethod =
              io.grpc.MethodDescriptor.<dev.imagestorage.v1.ListRequest, dev.imagestorage.v1.ListResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.SERVER_STREAMING)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "List"))
              .setSafe(true)
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  dev.imagestorage.v1.ListRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  dev.imagestorage.v1.ListResponse.getDefaultInstance()))
              .setSchemaDescriptor(new ImageStorageMethodDescriptorSupplier("List"))
              .build();
        }
      }
    }
    return getListMethod;
  }

  private static volatile io.grpc.MethodDescriptor<dev.imagestorage.v1.DeleteRequest,
      dev.imagestorage.v1.DeleteResponse> getDeleteMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "Delete",
      requestType = dev.imagestorage.v1.DeleteRequest.class,
      responseType = dev.imagestorage.v1.DeleteResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<dev.imagestorage.v1.DeleteRequest,
      dev.imagestorage.v1.DeleteResponse> getDeleteMethod() {
    io.grpc.MethodDescriptor<dev.imagestorage.v1.DeleteRequest, dev.imagestorage.v1.DeleteResponse> getDeleteMethod;
    if ((getDeleteMethod = ImageStorageGrpc.getDeleteMethod) == null) {
      synchronized (ImageStorageGrpc.class) {
        if ((getDeleteMethod = ImageStorageGrpc.getDeleteMethod) == null) {
          ImageStorageGrpc.getDeleteMethod = getDeleteMethod =
              io.grpc.MethodDescriptor.<dev.imagestorage.v1.DeleteRequest, dev.imagestorage.v1.DeleteResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "Delete"))
              .setIdempotent(true)
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  dev.imagestorage.v1.DeleteRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  dev.imagestorage.v1.DeleteResponse.getDefaultInstance()))
              .setSchemaDescriptor(new ImageStorageMethodDescriptorSupplier("Delete"))
              .build();
        }
      }
    }
    return getDeleteMethod;
  }

  private static volatile io.grpc.MethodDescriptor<dev.imagestorage.v1.CleanupRequest,
      dev.imagestorage.v1.CleanupResponse> getCleanupMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "Cleanup",
      requestType = dev.imagestorage.v1.CleanupRequest.class,
      responseType = dev.imagestorage.v1.CleanupResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<dev.imagestorage.v1.CleanupRequest,
      dev.imagestorage.v1.CleanupResponse> getCleanupMethod() {
    io.grpc.MethodDescriptor<dev.imagestorage.v1.CleanupRequest, dev.imagestorage.v1.CleanupResponse> getCleanupMethod;
    if ((getCleanupMethod = ImageStorageGrpc.getCleanupMethod) == null) {
      synchronized (ImageStorageGrpc.class) {
        if ((getCleanupMethod = ImageStorageGrpc.getCleanupMethod) == null) {
          ImageStorageGrpc.getCleanupMethod = getCleanupMethod =
              io.grpc.MethodDescriptor.<dev.imagestorage.v1.CleanupRequest, dev.imagestorage.v1.CleanupResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "Cleanup"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  dev.imagestorage.v1.CleanupRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  dev.imagestorage.v1.CleanupResponse.getDefaultInstance()))
              .setSchemaDescriptor(new ImageStorageMethodDescriptorSupplier("Cleanup"))
              .build();
        }
      }
    }
    return getCleanupMethod;
  }

  private static volatile io.grpc.MethodDescriptor<dev.imagestorage.v1.StatsRequest,
      dev.imagestorage.v1.StatsResponse> getStatsMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "Stats",
      requestType = dev.imagestorage.v1.StatsRequest.class,
      responseType = dev.imagestorage.v1.StatsResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.UNARY)
  public static io.grpc.MethodDescriptor<dev.imagestorage.v1.StatsRequest,
      dev.imagestorage.v1.StatsResponse> getStatsMethod() {
    io.grpc.MethodDescriptor<dev.imagestorage.v1.StatsRequest, dev.imagestorage.v1.StatsResponse> getStatsMethod;
    if ((getStatsMethod = ImageStorageGrpc.getStatsMethod) == null) {
      synchronized (ImageStorageGrpc.class) {
        if ((getStatsMethod = ImageStorageGrpc.getStatsMethod) == null) {
          ImageStorageGrpc.getStatsMethod = getStatsMethod =
              io.grpc.MethodDescriptor.<dev.imagestorage.v1.StatsRequest, dev.imagestorage.v1.StatsResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.UNARY)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "Stats"))
              .setSafe(true)
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  dev.imagestorage.v1.StatsRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  dev.imagestorage.v1.StatsResponse.getDefaultInstance()))
              .setSchemaDescriptor(new ImageStorageMethodDescriptorSupplier("Stats"))
              .build();
        }
      }
    }
    return getStatsMethod;
  }

  /**
   * Creates a new async stub that supports all call types for the service
   */
  public static ImageStorageStub newStub(io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<ImageStorageStub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<ImageStorageStub>() {
        @java.lang.Override
        public ImageStorageStub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new ImageStorageStub(channel, callOptions);
        }
      };
    return ImageStorageStub.newStub(factory, channel);
  }

  /**
   * Creates a new blocking-style stub that supports all types of calls on the service
   */
  public static ImageStorageBlockingV2Stub newBlockingV2Stub(
      io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<ImageStorageBlockingV2Stub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<ImageStorageBlockingV2Stub>() {
        @java.lang.Override
        public ImageStorageBlockingV2Stub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new ImageStorageBlockingV2Stub(channel, callOptions);
        }
      };
    return ImageStorageBlockingV2Stub.newStub(factory, channel);
  }

  /**
   * Creates a new blocking-style stub that supports unary and streaming output calls on the service
   */
  public static ImageStorageBlockingStub newBlockingStub(
      io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<ImageStorageBlockingStub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<ImageStorageBlockingStub>() {
        @java.lang.Override
        public ImageStorageBlockingStub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new ImageStorageBlockingStub(channel, callOptions);
        }
      };
    return ImageStorageBlockingStub.newStub(factory, channel);
  }

  /**
   * Creates a new ListenableFuture-style stub that supports unary calls on the service
   */
  public static ImageStorageFutureStub newFutureStub(
      io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<ImageStorageFutureStub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<ImageStorageFutureStub>() {
        @java.lang.Override
        public ImageStorageFutureStub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new ImageStorageFutureStub(channel, callOptions);
        }
      };
    return ImageStorageFutureStub.newStub(factory, channel);
  }

  /**
   * <pre>
   * Keeps generated images with their prompt, model and parameters, and finds them again.
   * </pre>
   */
  public interface AsyncService {

    /**
     * <pre>
     * Stores one image: a header, then chunks in order, optionally a trailer; half-closing the stream commits.
     * OK means that size and sha256 (when declared) matched, that the bytes are one whole image of an allowed type,
     * that bytes and metadata are on stable storage, and that List and Get show it. Any other status that the daemon
     * answers means that nothing was kept, with one exception: where no answer came (deadline, cancel, lost connection)
     * or ErrorInfo.metadata has outcome=unknown, the image may exist; retry with the same idempotency_key to learn it.
     * INVALID_ARGUMENT: FIRST_MESSAGE_NOT_HEADER, MESSAGE_OUT_OF_ORDER, FIELD_INVALID, IMAGE_TOO_LARGE, IMAGE_EMPTY,
     * IMAGE_TRUNCATED, TYPE_NOT_ALLOWED, TYPE_MISMATCH, SIZE_MISMATCH, CHECKSUM_MISMATCH.
     * ALREADY_EXISTS: IDEMPOTENCY_KEY_REUSED. NOT_FOUND: PROVIDER_NOT_FOUND.
     * RESOURCE_EXHAUSTED: DISK_FULL, TOO_MANY_SAVES (with RetryInfo), MESSAGE_TOO_LARGE. DEADLINE_EXCEEDED: SAVE_STALLED.
     * FAILED_PRECONDITION: STORE_READ_ONLY, STORE_REPLACED, BACKEND_AUTH. UNAVAILABLE: BACKEND_UNAVAILABLE.
     * INTERNAL: STORAGE_IO.
     * </pre>
     */
    default io.grpc.stub.StreamObserver<dev.imagestorage.v1.SaveRequest> save(
        io.grpc.stub.StreamObserver<dev.imagestorage.v1.SaveResponse> responseObserver) {
      return io.grpc.stub.ServerCalls.asyncUnimplementedStreamingCall(getSaveMethod(), responseObserver);
    }

    /**
     * <pre>
     * Reads one image: first its description, then its bytes in chunks of at most 256 KiB.
     * A whole read is checked against the stored sha256 and ends in DATA_LOSS BYTES_CORRUPT when it differs; discard
     * what was read then. A range checks only the stored size.
     * NOT_FOUND: IMAGE_NOT_FOUND, PROVIDER_NOT_FOUND. OUT_OF_RANGE: OFFSET_OUT_OF_RANGE.
     * DATA_LOSS: BYTES_CORRUPT, BYTES_MISSING. INVALID_ARGUMENT: FIELD_INVALID. UNAVAILABLE: BACKEND_UNAVAILABLE.
     * </pre>
     */
    default void get(dev.imagestorage.v1.GetRequest request,
        io.grpc.stub.StreamObserver<dev.imagestorage.v1.GetResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getGetMethod(), responseObserver);
    }

    /**
     * <pre>
     * Lists the images that match every given filter, newest first unless asked otherwise, in batches of at most 1 MiB
     * (or a single image). Stable while images are saved and deleted: no image present throughout is skipped or repeated.
     * No match, no batch.
     * INVALID_ARGUMENT: FIELD_INVALID, PAGE_TOKEN_INVALID. NOT_FOUND: PROVIDER_NOT_FOUND.
     * UNAVAILABLE: CATALOG_REBUILDING, BACKEND_UNAVAILABLE.
     * </pre>
     */
    default void list(dev.imagestorage.v1.ListRequest request,
        io.grpc.stub.StreamObserver<dev.imagestorage.v1.ListResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getListMethod(), responseObserver);
    }

    /**
     * <pre>
     * Deletes images by filename, pinned ones too. An unknown filename is not an error: its result says so.
     * INVALID_ARGUMENT: FIELD_INVALID. NOT_FOUND: PROVIDER_NOT_FOUND. FAILED_PRECONDITION: STORE_READ_ONLY.
     * </pre>
     */
    default void delete(dev.imagestorage.v1.DeleteRequest request,
        io.grpc.stub.StreamObserver<dev.imagestorage.v1.DeleteResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getDeleteMethod(), responseObserver);
    }

    /**
     * <pre>
     * Prunes images, oldest first. An image goes only if no given criterion (older_than, keep_count, keep_bytes)
     * protects it; pinned images are always spared and not counted. Groups of deletes that are done stay done when the
     * call is cancelled.
     * INVALID_ARGUMENT: CLEANUP_WITHOUT_CRITERION, FIELD_INVALID. NOT_FOUND: PROVIDER_NOT_FOUND.
     * FAILED_PRECONDITION: STORE_READ_ONLY. UNAVAILABLE: CATALOG_REBUILDING, BACKEND_UNAVAILABLE.
     * </pre>
     */
    default void cleanup(dev.imagestorage.v1.CleanupRequest request,
        io.grpc.stub.StreamObserver<dev.imagestorage.v1.CleanupResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getCleanupMethod(), responseObserver);
    }

    /**
     * <pre>
     * Counts images and bytes; constant time in the number of images.
     * NOT_FOUND: PROVIDER_NOT_FOUND. UNAVAILABLE: CATALOG_REBUILDING, BACKEND_UNAVAILABLE.
     * </pre>
     */
    default void stats(dev.imagestorage.v1.StatsRequest request,
        io.grpc.stub.StreamObserver<dev.imagestorage.v1.StatsResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getStatsMethod(), responseObserver);
    }
  }

  /**
   * Base class for the server implementation of the service ImageStorage.
   * <pre>
   * Keeps generated images with their prompt, model and parameters, and finds them again.
   * </pre>
   */
  public static abstract class ImageStorageImplBase
      implements io.grpc.BindableService, AsyncService {

    @java.lang.Override public final io.grpc.ServerServiceDefinition bindService() {
      return ImageStorageGrpc.bindService(this);
    }
  }

  /**
   * A stub to allow clients to do asynchronous rpc calls to service ImageStorage.
   * <pre>
   * Keeps generated images with their prompt, model and parameters, and finds them again.
   * </pre>
   */
  public static final class ImageStorageStub
      extends io.grpc.stub.AbstractAsyncStub<ImageStorageStub> {
    private ImageStorageStub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected ImageStorageStub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new ImageStorageStub(channel, callOptions);
    }

    /**
     * <pre>
     * Stores one image: a header, then chunks in order, optionally a trailer; half-closing the stream commits.
     * OK means that size and sha256 (when declared) matched, that the bytes are one whole image of an allowed type,
     * that bytes and metadata are on stable storage, and that List and Get show it. Any other status that the daemon
     * answers means that nothing was kept, with one exception: where no answer came (deadline, cancel, lost connection)
     * or ErrorInfo.metadata has outcome=unknown, the image may exist; retry with the same idempotency_key to learn it.
     * INVALID_ARGUMENT: FIRST_MESSAGE_NOT_HEADER, MESSAGE_OUT_OF_ORDER, FIELD_INVALID, IMAGE_TOO_LARGE, IMAGE_EMPTY,
     * IMAGE_TRUNCATED, TYPE_NOT_ALLOWED, TYPE_MISMATCH, SIZE_MISMATCH, CHECKSUM_MISMATCH.
     * ALREADY_EXISTS: IDEMPOTENCY_KEY_REUSED. NOT_FOUND: PROVIDER_NOT_FOUND.
     * RESOURCE_EXHAUSTED: DISK_FULL, TOO_MANY_SAVES (with RetryInfo), MESSAGE_TOO_LARGE. DEADLINE_EXCEEDED: SAVE_STALLED.
     * FAILED_PRECONDITION: STORE_READ_ONLY, STORE_REPLACED, BACKEND_AUTH. UNAVAILABLE: BACKEND_UNAVAILABLE.
     * INTERNAL: STORAGE_IO.
     * </pre>
     */
    public io.grpc.stub.StreamObserver<dev.imagestorage.v1.SaveRequest> save(
        io.grpc.stub.StreamObserver<dev.imagestorage.v1.SaveResponse> responseObserver) {
      return io.grpc.stub.ClientCalls.asyncClientStreamingCall(
          getChannel().newCall(getSaveMethod(), getCallOptions()), responseObserver);
    }

    /**
     * <pre>
     * Reads one image: first its description, then its bytes in chunks of at most 256 KiB.
     * A whole read is checked against the stored sha256 and ends in DATA_LOSS BYTES_CORRUPT when it differs; discard
     * what was read then. A range checks only the stored size.
     * NOT_FOUND: IMAGE_NOT_FOUND, PROVIDER_NOT_FOUND. OUT_OF_RANGE: OFFSET_OUT_OF_RANGE.
     * DATA_LOSS: BYTES_CORRUPT, BYTES_MISSING. INVALID_ARGUMENT: FIELD_INVALID. UNAVAILABLE: BACKEND_UNAVAILABLE.
     * </pre>
     */
    public void get(dev.imagestorage.v1.GetRequest request,
        io.grpc.stub.StreamObserver<dev.imagestorage.v1.GetResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncServerStreamingCall(
          getChannel().newCall(getGetMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Lists the images that match every given filter, newest first unless asked otherwise, in batches of at most 1 MiB
     * (or a single image). Stable while images are saved and deleted: no image present throughout is skipped or repeated.
     * No match, no batch.
     * INVALID_ARGUMENT: FIELD_INVALID, PAGE_TOKEN_INVALID. NOT_FOUND: PROVIDER_NOT_FOUND.
     * UNAVAILABLE: CATALOG_REBUILDING, BACKEND_UNAVAILABLE.
     * </pre>
     */
    public void list(dev.imagestorage.v1.ListRequest request,
        io.grpc.stub.StreamObserver<dev.imagestorage.v1.ListResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncServerStreamingCall(
          getChannel().newCall(getListMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Deletes images by filename, pinned ones too. An unknown filename is not an error: its result says so.
     * INVALID_ARGUMENT: FIELD_INVALID. NOT_FOUND: PROVIDER_NOT_FOUND. FAILED_PRECONDITION: STORE_READ_ONLY.
     * </pre>
     */
    public void delete(dev.imagestorage.v1.DeleteRequest request,
        io.grpc.stub.StreamObserver<dev.imagestorage.v1.DeleteResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getDeleteMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Prunes images, oldest first. An image goes only if no given criterion (older_than, keep_count, keep_bytes)
     * protects it; pinned images are always spared and not counted. Groups of deletes that are done stay done when the
     * call is cancelled.
     * INVALID_ARGUMENT: CLEANUP_WITHOUT_CRITERION, FIELD_INVALID. NOT_FOUND: PROVIDER_NOT_FOUND.
     * FAILED_PRECONDITION: STORE_READ_ONLY. UNAVAILABLE: CATALOG_REBUILDING, BACKEND_UNAVAILABLE.
     * </pre>
     */
    public void cleanup(dev.imagestorage.v1.CleanupRequest request,
        io.grpc.stub.StreamObserver<dev.imagestorage.v1.CleanupResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getCleanupMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Counts images and bytes; constant time in the number of images.
     * NOT_FOUND: PROVIDER_NOT_FOUND. UNAVAILABLE: CATALOG_REBUILDING, BACKEND_UNAVAILABLE.
     * </pre>
     */
    public void stats(dev.imagestorage.v1.StatsRequest request,
        io.grpc.stub.StreamObserver<dev.imagestorage.v1.StatsResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncUnaryCall(
          getChannel().newCall(getStatsMethod(), getCallOptions()), request, responseObserver);
    }
  }

  /**
   * A stub to allow clients to do synchronous rpc calls to service ImageStorage.
   * <pre>
   * Keeps generated images with their prompt, model and parameters, and finds them again.
   * </pre>
   */
  public static final class ImageStorageBlockingV2Stub
      extends io.grpc.stub.AbstractBlockingStub<ImageStorageBlockingV2Stub> {
    private ImageStorageBlockingV2Stub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected ImageStorageBlockingV2Stub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new ImageStorageBlockingV2Stub(channel, callOptions);
    }

    /**
     * <pre>
     * Stores one image: a header, then chunks in order, optionally a trailer; half-closing the stream commits.
     * OK means that size and sha256 (when declared) matched, that the bytes are one whole image of an allowed type,
     * that bytes and metadata are on stable storage, and that List and Get show it. Any other status that the daemon
     * answers means that nothing was kept, with one exception: where no answer came (deadline, cancel, lost connection)
     * or ErrorInfo.metadata has outcome=unknown, the image may exist; retry with the same idempotency_key to learn it.
     * INVALID_ARGUMENT: FIRST_MESSAGE_NOT_HEADER, MESSAGE_OUT_OF_ORDER, FIELD_INVALID, IMAGE_TOO_LARGE, IMAGE_EMPTY,
     * IMAGE_TRUNCATED, TYPE_NOT_ALLOWED, TYPE_MISMATCH, SIZE_MISMATCH, CHECKSUM_MISMATCH.
     * ALREADY_EXISTS: IDEMPOTENCY_KEY_REUSED. NOT_FOUND: PROVIDER_NOT_FOUND.
     * RESOURCE_EXHAUSTED: DISK_FULL, TOO_MANY_SAVES (with RetryInfo), MESSAGE_TOO_LARGE. DEADLINE_EXCEEDED: SAVE_STALLED.
     * FAILED_PRECONDITION: STORE_READ_ONLY, STORE_REPLACED, BACKEND_AUTH. UNAVAILABLE: BACKEND_UNAVAILABLE.
     * INTERNAL: STORAGE_IO.
     * </pre>
     */
    @io.grpc.ExperimentalApi("https://github.com/grpc/grpc-java/issues/10918")
    public io.grpc.stub.BlockingClientCall<dev.imagestorage.v1.SaveRequest, dev.imagestorage.v1.SaveResponse>
        save() {
      return io.grpc.stub.ClientCalls.blockingClientStreamingCall(
          getChannel(), getSaveMethod(), getCallOptions());
    }

    /**
     * <pre>
     * Reads one image: first its description, then its bytes in chunks of at most 256 KiB.
     * A whole read is checked against the stored sha256 and ends in DATA_LOSS BYTES_CORRUPT when it differs; discard
     * what was read then. A range checks only the stored size.
     * NOT_FOUND: IMAGE_NOT_FOUND, PROVIDER_NOT_FOUND. OUT_OF_RANGE: OFFSET_OUT_OF_RANGE.
     * DATA_LOSS: BYTES_CORRUPT, BYTES_MISSING. INVALID_ARGUMENT: FIELD_INVALID. UNAVAILABLE: BACKEND_UNAVAILABLE.
     * </pre>
     */
    @io.grpc.ExperimentalApi("https://github.com/grpc/grpc-java/issues/10918")
    public io.grpc.stub.BlockingClientCall<?, dev.imagestorage.v1.GetResponse>
        get(dev.imagestorage.v1.GetRequest request) {
      return io.grpc.stub.ClientCalls.blockingV2ServerStreamingCall(
          getChannel(), getGetMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Lists the images that match every given filter, newest first unless asked otherwise, in batches of at most 1 MiB
     * (or a single image). Stable while images are saved and deleted: no image present throughout is skipped or repeated.
     * No match, no batch.
     * INVALID_ARGUMENT: FIELD_INVALID, PAGE_TOKEN_INVALID. NOT_FOUND: PROVIDER_NOT_FOUND.
     * UNAVAILABLE: CATALOG_REBUILDING, BACKEND_UNAVAILABLE.
     * </pre>
     */
    @io.grpc.ExperimentalApi("https://github.com/grpc/grpc-java/issues/10918")
    public io.grpc.stub.BlockingClientCall<?, dev.imagestorage.v1.ListResponse>
        list(dev.imagestorage.v1.ListRequest request) {
      return io.grpc.stub.ClientCalls.blockingV2ServerStreamingCall(
          getChannel(), getListMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Deletes images by filename, pinned ones too. An unknown filename is not an error: its result says so.
     * INVALID_ARGUMENT: FIELD_INVALID. NOT_FOUND: PROVIDER_NOT_FOUND. FAILED_PRECONDITION: STORE_READ_ONLY.
     * </pre>
     */
    public dev.imagestorage.v1.DeleteResponse delete(dev.imagestorage.v1.DeleteRequest request) throws io.grpc.StatusException {
      return io.grpc.stub.ClientCalls.blockingV2UnaryCall(
          getChannel(), getDeleteMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Prunes images, oldest first. An image goes only if no given criterion (older_than, keep_count, keep_bytes)
     * protects it; pinned images are always spared and not counted. Groups of deletes that are done stay done when the
     * call is cancelled.
     * INVALID_ARGUMENT: CLEANUP_WITHOUT_CRITERION, FIELD_INVALID. NOT_FOUND: PROVIDER_NOT_FOUND.
     * FAILED_PRECONDITION: STORE_READ_ONLY. UNAVAILABLE: CATALOG_REBUILDING, BACKEND_UNAVAILABLE.
     * </pre>
     */
    public dev.imagestorage.v1.CleanupResponse cleanup(dev.imagestorage.v1.CleanupRequest request) throws io.grpc.StatusException {
      return io.grpc.stub.ClientCalls.blockingV2UnaryCall(
          getChannel(), getCleanupMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Counts images and bytes; constant time in the number of images.
     * NOT_FOUND: PROVIDER_NOT_FOUND. UNAVAILABLE: CATALOG_REBUILDING, BACKEND_UNAVAILABLE.
     * </pre>
     */
    public dev.imagestorage.v1.StatsResponse stats(dev.imagestorage.v1.StatsRequest request) throws io.grpc.StatusException {
      return io.grpc.stub.ClientCalls.blockingV2UnaryCall(
          getChannel(), getStatsMethod(), getCallOptions(), request);
    }
  }

  /**
   * A stub to allow clients to do limited synchronous rpc calls to service ImageStorage.
   * <pre>
   * Keeps generated images with their prompt, model and parameters, and finds them again.
   * </pre>
   */
  public static final class ImageStorageBlockingStub
      extends io.grpc.stub.AbstractBlockingStub<ImageStorageBlockingStub> {
    private ImageStorageBlockingStub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected ImageStorageBlockingStub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new ImageStorageBlockingStub(channel, callOptions);
    }

    /**
     * <pre>
     * Reads one image: first its description, then its bytes in chunks of at most 256 KiB.
     * A whole read is checked against the stored sha256 and ends in DATA_LOSS BYTES_CORRUPT when it differs; discard
     * what was read then. A range checks only the stored size.
     * NOT_FOUND: IMAGE_NOT_FOUND, PROVIDER_NOT_FOUND. OUT_OF_RANGE: OFFSET_OUT_OF_RANGE.
     * DATA_LOSS: BYTES_CORRUPT, BYTES_MISSING. INVALID_ARGUMENT: FIELD_INVALID. UNAVAILABLE: BACKEND_UNAVAILABLE.
     * </pre>
     */
    public java.util.Iterator<dev.imagestorage.v1.GetResponse> get(
        dev.imagestorage.v1.GetRequest request) {
      return io.grpc.stub.ClientCalls.blockingServerStreamingCall(
          getChannel(), getGetMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Lists the images that match every given filter, newest first unless asked otherwise, in batches of at most 1 MiB
     * (or a single image). Stable while images are saved and deleted: no image present throughout is skipped or repeated.
     * No match, no batch.
     * INVALID_ARGUMENT: FIELD_INVALID, PAGE_TOKEN_INVALID. NOT_FOUND: PROVIDER_NOT_FOUND.
     * UNAVAILABLE: CATALOG_REBUILDING, BACKEND_UNAVAILABLE.
     * </pre>
     */
    public java.util.Iterator<dev.imagestorage.v1.ListResponse> list(
        dev.imagestorage.v1.ListRequest request) {
      return io.grpc.stub.ClientCalls.blockingServerStreamingCall(
          getChannel(), getListMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Deletes images by filename, pinned ones too. An unknown filename is not an error: its result says so.
     * INVALID_ARGUMENT: FIELD_INVALID. NOT_FOUND: PROVIDER_NOT_FOUND. FAILED_PRECONDITION: STORE_READ_ONLY.
     * </pre>
     */
    public dev.imagestorage.v1.DeleteResponse delete(dev.imagestorage.v1.DeleteRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getDeleteMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Prunes images, oldest first. An image goes only if no given criterion (older_than, keep_count, keep_bytes)
     * protects it; pinned images are always spared and not counted. Groups of deletes that are done stay done when the
     * call is cancelled.
     * INVALID_ARGUMENT: CLEANUP_WITHOUT_CRITERION, FIELD_INVALID. NOT_FOUND: PROVIDER_NOT_FOUND.
     * FAILED_PRECONDITION: STORE_READ_ONLY. UNAVAILABLE: CATALOG_REBUILDING, BACKEND_UNAVAILABLE.
     * </pre>
     */
    public dev.imagestorage.v1.CleanupResponse cleanup(dev.imagestorage.v1.CleanupRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getCleanupMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Counts images and bytes; constant time in the number of images.
     * NOT_FOUND: PROVIDER_NOT_FOUND. UNAVAILABLE: CATALOG_REBUILDING, BACKEND_UNAVAILABLE.
     * </pre>
     */
    public dev.imagestorage.v1.StatsResponse stats(dev.imagestorage.v1.StatsRequest request) {
      return io.grpc.stub.ClientCalls.blockingUnaryCall(
          getChannel(), getStatsMethod(), getCallOptions(), request);
    }
  }

  /**
   * A stub to allow clients to do ListenableFuture-style rpc calls to service ImageStorage.
   * <pre>
   * Keeps generated images with their prompt, model and parameters, and finds them again.
   * </pre>
   */
  public static final class ImageStorageFutureStub
      extends io.grpc.stub.AbstractFutureStub<ImageStorageFutureStub> {
    private ImageStorageFutureStub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected ImageStorageFutureStub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new ImageStorageFutureStub(channel, callOptions);
    }

    /**
     * <pre>
     * Deletes images by filename, pinned ones too. An unknown filename is not an error: its result says so.
     * INVALID_ARGUMENT: FIELD_INVALID. NOT_FOUND: PROVIDER_NOT_FOUND. FAILED_PRECONDITION: STORE_READ_ONLY.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<dev.imagestorage.v1.DeleteResponse> delete(
        dev.imagestorage.v1.DeleteRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getDeleteMethod(), getCallOptions()), request);
    }

    /**
     * <pre>
     * Prunes images, oldest first. An image goes only if no given criterion (older_than, keep_count, keep_bytes)
     * protects it; pinned images are always spared and not counted. Groups of deletes that are done stay done when the
     * call is cancelled.
     * INVALID_ARGUMENT: CLEANUP_WITHOUT_CRITERION, FIELD_INVALID. NOT_FOUND: PROVIDER_NOT_FOUND.
     * FAILED_PRECONDITION: STORE_READ_ONLY. UNAVAILABLE: CATALOG_REBUILDING, BACKEND_UNAVAILABLE.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<dev.imagestorage.v1.CleanupResponse> cleanup(
        dev.imagestorage.v1.CleanupRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getCleanupMethod(), getCallOptions()), request);
    }

    /**
     * <pre>
     * Counts images and bytes; constant time in the number of images.
     * NOT_FOUND: PROVIDER_NOT_FOUND. UNAVAILABLE: CATALOG_REBUILDING, BACKEND_UNAVAILABLE.
     * </pre>
     */
    public com.google.common.util.concurrent.ListenableFuture<dev.imagestorage.v1.StatsResponse> stats(
        dev.imagestorage.v1.StatsRequest request) {
      return io.grpc.stub.ClientCalls.futureUnaryCall(
          getChannel().newCall(getStatsMethod(), getCallOptions()), request);
    }
  }

  private static final int METHODID_GET = 0;
  private static final int METHODID_LIST = 1;
  private static final int METHODID_DELETE = 2;
  private static final int METHODID_CLEANUP = 3;
  private static final int METHODID_STATS = 4;
  private static final int METHODID_SAVE = 5;

  private static final class MethodHandlers<Req, Resp> implements
      io.grpc.stub.ServerCalls.UnaryMethod<Req, Resp>,
      io.grpc.stub.ServerCalls.ServerStreamingMethod<Req, Resp>,
      io.grpc.stub.ServerCalls.ClientStreamingMethod<Req, Resp>,
      io.grpc.stub.ServerCalls.BidiStreamingMethod<Req, Resp> {
    private final AsyncService serviceImpl;
    private final int methodId;

    MethodHandlers(AsyncService serviceImpl, int methodId) {
      this.serviceImpl = serviceImpl;
      this.methodId = methodId;
    }

    @java.lang.Override
    @java.lang.SuppressWarnings("unchecked")
    public void invoke(Req request, io.grpc.stub.StreamObserver<Resp> responseObserver) {
      switch (methodId) {
        case METHODID_GET:
          serviceImpl.get((dev.imagestorage.v1.GetRequest) request,
              (io.grpc.stub.StreamObserver<dev.imagestorage.v1.GetResponse>) responseObserver);
          break;
        case METHODID_LIST:
          serviceImpl.list((dev.imagestorage.v1.ListRequest) request,
              (io.grpc.stub.StreamObserver<dev.imagestorage.v1.ListResponse>) responseObserver);
          break;
        case METHODID_DELETE:
          serviceImpl.delete((dev.imagestorage.v1.DeleteRequest) request,
              (io.grpc.stub.StreamObserver<dev.imagestorage.v1.DeleteResponse>) responseObserver);
          break;
        case METHODID_CLEANUP:
          serviceImpl.cleanup((dev.imagestorage.v1.CleanupRequest) request,
              (io.grpc.stub.StreamObserver<dev.imagestorage.v1.CleanupResponse>) responseObserver);
          break;
        case METHODID_STATS:
          serviceImpl.stats((dev.imagestorage.v1.StatsRequest) request,
              (io.grpc.stub.StreamObserver<dev.imagestorage.v1.StatsResponse>) responseObserver);
          break;
        default:
          throw new AssertionError();
      }
    }

    @java.lang.Override
    @java.lang.SuppressWarnings("unchecked")
    public io.grpc.stub.StreamObserver<Req> invoke(
        io.grpc.stub.StreamObserver<Resp> responseObserver) {
      switch (methodId) {
        case METHODID_SAVE:
          return (io.grpc.stub.StreamObserver<Req>) serviceImpl.save(
              (io.grpc.stub.StreamObserver<dev.imagestorage.v1.SaveResponse>) responseObserver);
        default:
          throw new AssertionError();
      }
    }
  }

  public static final io.grpc.ServerServiceDefinition bindService(AsyncService service) {
    return io.grpc.ServerServiceDefinition.builder(getServiceDescriptor())
        .addMethod(
          getSaveMethod(),
          io.grpc.stub.ServerCalls.asyncClientStreamingCall(
            new MethodHandlers<
              dev.imagestorage.v1.SaveRequest,
              dev.imagestorage.v1.SaveResponse>(
                service, METHODID_SAVE)))
        .addMethod(
          getGetMethod(),
          io.grpc.stub.ServerCalls.asyncServerStreamingCall(
            new MethodHandlers<
              dev.imagestorage.v1.GetRequest,
              dev.imagestorage.v1.GetResponse>(
                service, METHODID_GET)))
        .addMethod(
          getListMethod(),
          io.grpc.stub.ServerCalls.asyncServerStreamingCall(
            new MethodHandlers<
              dev.imagestorage.v1.ListRequest,
              dev.imagestorage.v1.ListResponse>(
                service, METHODID_LIST)))
        .addMethod(
          getDeleteMethod(),
          io.grpc.stub.ServerCalls.asyncUnaryCall(
            new MethodHandlers<
              dev.imagestorage.v1.DeleteRequest,
              dev.imagestorage.v1.DeleteResponse>(
                service, METHODID_DELETE)))
        .addMethod(
          getCleanupMethod(),
          io.grpc.stub.ServerCalls.asyncUnaryCall(
            new MethodHandlers<
              dev.imagestorage.v1.CleanupRequest,
              dev.imagestorage.v1.CleanupResponse>(
                service, METHODID_CLEANUP)))
        .addMethod(
          getStatsMethod(),
          io.grpc.stub.ServerCalls.asyncUnaryCall(
            new MethodHandlers<
              dev.imagestorage.v1.StatsRequest,
              dev.imagestorage.v1.StatsResponse>(
                service, METHODID_STATS)))
        .build();
  }

  private static abstract class ImageStorageBaseDescriptorSupplier
      implements io.grpc.protobuf.ProtoFileDescriptorSupplier, io.grpc.protobuf.ProtoServiceDescriptorSupplier {
    ImageStorageBaseDescriptorSupplier() {}

    @java.lang.Override
    public com.google.protobuf.Descriptors.FileDescriptor getFileDescriptor() {
      return dev.imagestorage.v1.ImageStorageOuterClass.getDescriptor();
    }

    @java.lang.Override
    public com.google.protobuf.Descriptors.ServiceDescriptor getServiceDescriptor() {
      return getFileDescriptor().findServiceByName("ImageStorage");
    }
  }

  private static final class ImageStorageFileDescriptorSupplier
      extends ImageStorageBaseDescriptorSupplier {
    ImageStorageFileDescriptorSupplier() {}
  }

  private static final class ImageStorageMethodDescriptorSupplier
      extends ImageStorageBaseDescriptorSupplier
      implements io.grpc.protobuf.ProtoMethodDescriptorSupplier {
    private final java.lang.String methodName;

    ImageStorageMethodDescriptorSupplier(java.lang.String methodName) {
      this.methodName = methodName;
    }

    @java.lang.Override
    public com.google.protobuf.Descriptors.MethodDescriptor getMethodDescriptor() {
      return getServiceDescriptor().findMethodByName(methodName);
    }
  }

  private static volatile io.grpc.ServiceDescriptor serviceDescriptor;

  public static io.grpc.ServiceDescriptor getServiceDescriptor() {
    io.grpc.ServiceDescriptor result = serviceDescriptor;
    if (result == null) {
      synchronized (ImageStorageGrpc.class) {
        result = serviceDescriptor;
        if (result == null) {
          serviceDescriptor = result = io.grpc.ServiceDescriptor.newBuilder(SERVICE_NAME)
              .setSchemaDescriptor(new ImageStorageFileDescriptorSupplier())
              .addMethod(getSaveMethod())
              .addMethod(getGetMethod())
              .addMethod(getListMethod())
              .addMethod(getDeleteMethod())
              .addMethod(getCleanupMethod())
              .addMethod(getStatsMethod())
              .build();
        }
      }
    }
    return result;
  }
}
