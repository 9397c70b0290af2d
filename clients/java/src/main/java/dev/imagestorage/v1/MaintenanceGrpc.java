package dev.imagestorage.v1;

import static io.grpc.MethodDescriptor.generateFullMethodName;

/**
 * <pre>
 * Checks stores and copies between them.
 * </pre>
 */
@io.grpc.stub.annotations.GrpcGenerated
public final class MaintenanceGrpc {

  private MaintenanceGrpc() {}

  public static final java.lang.String SERVICE_NAME = "imagestorage.v1.Maintenance";

  // Static method descriptors that strictly reflect the proto.
  private static volatile io.grpc.MethodDescriptor<dev.imagestorage.v1.VerifyRequest,
      dev.imagestorage.v1.VerifyResponse> getVerifyMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "Verify",
      requestType = dev.imagestorage.v1.VerifyRequest.class,
      responseType = dev.imagestorage.v1.VerifyResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.SERVER_STREAMING)
  public static io.grpc.MethodDescriptor<dev.imagestorage.v1.VerifyRequest,
      dev.imagestorage.v1.VerifyResponse> getVerifyMethod() {
    io.grpc.MethodDescriptor<dev.imagestorage.v1.VerifyRequest, dev.imagestorage.v1.VerifyResponse> getVerifyMethod;
    if ((getVerifyMethod = MaintenanceGrpc.getVerifyMethod) == null) {
      synchronized (MaintenanceGrpc.class) {
        if ((getVerifyMethod = MaintenanceGrpc.getVerifyMethod) == null) {
          MaintenanceGrpc.getVerifyMethod = getVerifyMethod =
              io.grpc.MethodDescriptor.<dev.imagestorage.v1.VerifyRequest, dev.imagestorage.v1.VerifyResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.SERVER_STREAMING)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "Verify"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  dev.imagestorage.v1.VerifyRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  dev.imagestorage.v1.VerifyResponse.getDefaultInstance()))
              .setSchemaDescriptor(new MaintenanceMethodDescriptorSupplier("Verify"))
              .build();
        }
      }
    }
    return getVerifyMethod;
  }

  private static volatile io.grpc.MethodDescriptor<dev.imagestorage.v1.CopyRequest,
      dev.imagestorage.v1.CopyResponse> getCopyMethod;

  @io.grpc.stub.annotations.RpcMethod(
      fullMethodName = SERVICE_NAME + '/' + "Copy",
      requestType = dev.imagestorage.v1.CopyRequest.class,
      responseType = dev.imagestorage.v1.CopyResponse.class,
      methodType = io.grpc.MethodDescriptor.MethodType.SERVER_STREAMING)
  public static io.grpc.MethodDescriptor<dev.imagestorage.v1.CopyRequest,
      dev.imagestorage.v1.CopyResponse> getCopyMethod() {
    io.grpc.MethodDescriptor<dev.imagestorage.v1.CopyRequest, dev.imagestorage.v1.CopyResponse> getCopyMethod;
    if ((getCopyMethod = MaintenanceGrpc.getCopyMethod) == null) {
      synchronized (MaintenanceGrpc.class) {
        if ((getCopyMethod = MaintenanceGrpc.getCopyMethod) == null) {
          MaintenanceGrpc.getCopyMethod = getCopyMethod =
              io.grpc.MethodDescriptor.<dev.imagestorage.v1.CopyRequest, dev.imagestorage.v1.CopyResponse>newBuilder()
              .setType(io.grpc.MethodDescriptor.MethodType.SERVER_STREAMING)
              .setFullMethodName(generateFullMethodName(SERVICE_NAME, "Copy"))
              .setSampledToLocalTracing(true)
              .setRequestMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  dev.imagestorage.v1.CopyRequest.getDefaultInstance()))
              .setResponseMarshaller(io.grpc.protobuf.ProtoUtils.marshaller(
                  dev.imagestorage.v1.CopyResponse.getDefaultInstance()))
              .setSchemaDescriptor(new MaintenanceMethodDescriptorSupplier("Copy"))
              .build();
        }
      }
    }
    return getCopyMethod;
  }

  /**
   * Creates a new async stub that supports all call types for the service
   */
  public static MaintenanceStub newStub(io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<MaintenanceStub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<MaintenanceStub>() {
        @java.lang.Override
        public MaintenanceStub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new MaintenanceStub(channel, callOptions);
        }
      };
    return MaintenanceStub.newStub(factory, channel);
  }

  /**
   * Creates a new blocking-style stub that supports all types of calls on the service
   */
  public static MaintenanceBlockingV2Stub newBlockingV2Stub(
      io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<MaintenanceBlockingV2Stub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<MaintenanceBlockingV2Stub>() {
        @java.lang.Override
        public MaintenanceBlockingV2Stub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new MaintenanceBlockingV2Stub(channel, callOptions);
        }
      };
    return MaintenanceBlockingV2Stub.newStub(factory, channel);
  }

  /**
   * Creates a new blocking-style stub that supports unary and streaming output calls on the service
   */
  public static MaintenanceBlockingStub newBlockingStub(
      io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<MaintenanceBlockingStub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<MaintenanceBlockingStub>() {
        @java.lang.Override
        public MaintenanceBlockingStub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new MaintenanceBlockingStub(channel, callOptions);
        }
      };
    return MaintenanceBlockingStub.newStub(factory, channel);
  }

  /**
   * Creates a new ListenableFuture-style stub that supports unary calls on the service
   */
  public static MaintenanceFutureStub newFutureStub(
      io.grpc.Channel channel) {
    io.grpc.stub.AbstractStub.StubFactory<MaintenanceFutureStub> factory =
      new io.grpc.stub.AbstractStub.StubFactory<MaintenanceFutureStub>() {
        @java.lang.Override
        public MaintenanceFutureStub newStub(io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
          return new MaintenanceFutureStub(channel, callOptions);
        }
      };
    return MaintenanceFutureStub.newStub(factory, channel);
  }

  /**
   * <pre>
   * Checks stores and copies between them.
   * </pre>
   */
  public interface AsyncService {

    /**
     * <pre>
     * Compares records and bytes, and says what does not fit together: findings and progress as they come, then one
     * summary. Without repair and forget_missing it only reads. What is being saved or deleted meanwhile is no finding.
     * NOT_FOUND: PROVIDER_NOT_FOUND. INVALID_ARGUMENT: FIELD_INVALID. RESOURCE_EXHAUSTED: DISK_FULL.
     * FAILED_PRECONDITION: STORE_REPLACED (also where most images have no bytes and are to be forgotten), STORE_READ_ONLY,
     * BACKEND_AUTH. UNAVAILABLE: BACKEND_UNAVAILABLE, CATALOG_REBUILDING (forget_missing in a bucket).
     * INTERNAL: STORAGE_IO.
     * </pre>
     */
    default void verify(dev.imagestorage.v1.VerifyRequest request,
        io.grpc.stub.StreamObserver<dev.imagestorage.v1.VerifyResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getVerifyMethod(), responseObserver);
    }

    /**
     * <pre>
     * Copies images with their records, byte for byte, under the same filenames: failures and progress as they come, then
     * one summary. An image that the target has is skipped, so that a copy that was interrupted is simply started again.
     * An image that fails does not stop the others; a store that fails does: the summary then says what was done until
     * then, and the error, whose message begins with the name of the provider, follows it.
     * NOT_FOUND: PROVIDER_NOT_FOUND. INVALID_ARGUMENT: FIELD_INVALID. RESOURCE_EXHAUSTED: DISK_FULL.
     * FAILED_PRECONDITION: STORE_REPLACED, STORE_READ_ONLY, BACKEND_AUTH. UNAVAILABLE: CATALOG_REBUILDING,
     * BACKEND_UNAVAILABLE. INTERNAL: STORAGE_IO.
     * </pre>
     */
    default void copy(dev.imagestorage.v1.CopyRequest request,
        io.grpc.stub.StreamObserver<dev.imagestorage.v1.CopyResponse> responseObserver) {
      io.grpc.stub.ServerCalls.asyncUnimplementedUnaryCall(getCopyMethod(), responseObserver);
    }
  }

  /**
   * Base class for the server implementation of the service Maintenance.
   * <pre>
   * Checks stores and copies between them.
   * </pre>
   */
  public static abstract class MaintenanceImplBase
      implements io.grpc.BindableService, AsyncService {

    @java.lang.Override public final io.grpc.ServerServiceDefinition bindService() {
      return MaintenanceGrpc.bindService(this);
    }
  }

  /**
   * A stub to allow clients to do asynchronous rpc calls to service Maintenance.
   * <pre>
   * Checks stores and copies between them.
   * </pre>
   */
  public static final class MaintenanceStub
      extends io.grpc.stub.AbstractAsyncStub<MaintenanceStub> {
    private MaintenanceStub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected MaintenanceStub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new MaintenanceStub(channel, callOptions);
    }

    /**
     * <pre>
     * Compares records and bytes, and says what does not fit together: findings and progress as they come, then one
     * summary. Without repair and forget_missing it only reads. What is being saved or deleted meanwhile is no finding.
     * NOT_FOUND: PROVIDER_NOT_FOUND. INVALID_ARGUMENT: FIELD_INVALID. RESOURCE_EXHAUSTED: DISK_FULL.
     * FAILED_PRECONDITION: STORE_REPLACED (also where most images have no bytes and are to be forgotten), STORE_READ_ONLY,
     * BACKEND_AUTH. UNAVAILABLE: BACKEND_UNAVAILABLE, CATALOG_REBUILDING (forget_missing in a bucket).
     * INTERNAL: STORAGE_IO.
     * </pre>
     */
    public void verify(dev.imagestorage.v1.VerifyRequest request,
        io.grpc.stub.StreamObserver<dev.imagestorage.v1.VerifyResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncServerStreamingCall(
          getChannel().newCall(getVerifyMethod(), getCallOptions()), request, responseObserver);
    }

    /**
     * <pre>
     * Copies images with their records, byte for byte, under the same filenames: failures and progress as they come, then
     * one summary. An image that the target has is skipped, so that a copy that was interrupted is simply started again.
     * An image that fails does not stop the others; a store that fails does: the summary then says what was done until
     * then, and the error, whose message begins with the name of the provider, follows it.
     * NOT_FOUND: PROVIDER_NOT_FOUND. INVALID_ARGUMENT: FIELD_INVALID. RESOURCE_EXHAUSTED: DISK_FULL.
     * FAILED_PRECONDITION: STORE_REPLACED, STORE_READ_ONLY, BACKEND_AUTH. UNAVAILABLE: CATALOG_REBUILDING,
     * BACKEND_UNAVAILABLE. INTERNAL: STORAGE_IO.
     * </pre>
     */
    public void copy(dev.imagestorage.v1.CopyRequest request,
        io.grpc.stub.StreamObserver<dev.imagestorage.v1.CopyResponse> responseObserver) {
      io.grpc.stub.ClientCalls.asyncServerStreamingCall(
          getChannel().newCall(getCopyMethod(), getCallOptions()), request, responseObserver);
    }
  }

  /**
   * A stub to allow clients to do synchronous rpc calls to service Maintenance.
   * <pre>
   * Checks stores and copies between them.
   * </pre>
   */
  public static final class MaintenanceBlockingV2Stub
      extends io.grpc.stub.AbstractBlockingStub<MaintenanceBlockingV2Stub> {
    private MaintenanceBlockingV2Stub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected MaintenanceBlockingV2Stub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new MaintenanceBlockingV2Stub(channel, callOptions);
    }

    /**
     * <pre>
     * Compares records and bytes, and says what does not fit together: findings and progress as they come, then one
     * summary. Without repair and forget_missing it only reads. What is being saved or deleted meanwhile is no finding.
     * NOT_FOUND: PROVIDER_NOT_FOUND. INVALID_ARGUMENT: FIELD_INVALID. RESOURCE_EXHAUSTED: DISK_FULL.
     * FAILED_PRECONDITION: STORE_REPLACED (also where most images have no bytes and are to be forgotten), STORE_READ_ONLY,
     * BACKEND_AUTH. UNAVAILABLE: BACKEND_UNAVAILABLE, CATALOG_REBUILDING (forget_missing in a bucket).
     * INTERNAL: STORAGE_IO.
     * </pre>
     */
    @io.grpc.ExperimentalApi("https://github.com/grpc/grpc-java/issues/10918")
    public io.grpc.stub.BlockingClientCall<?, dev.imagestorage.v1.VerifyResponse>
        verify(dev.imagestorage.v1.VerifyRequest request) {
      return io.grpc.stub.ClientCalls.blockingV2ServerStreamingCall(
          getChannel(), getVerifyMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Copies images with their records, byte for byte, under the same filenames: failures and progress as they come, then
     * one summary. An image that the target has is skipped, so that a copy that was interrupted is simply started again.
     * An image that fails does not stop the others; a store that fails does: the summary then says what was done until
     * then, and the error, whose message begins with the name of the provider, follows it.
     * NOT_FOUND: PROVIDER_NOT_FOUND. INVALID_ARGUMENT: FIELD_INVALID. RESOURCE_EXHAUSTED: DISK_FULL.
     * FAILED_PRECONDITION: STORE_REPLACED, STORE_READ_ONLY, BACKEND_AUTH. UNAVAILABLE: CATALOG_REBUILDING,
     * BACKEND_UNAVAILABLE. INTERNAL: STORAGE_IO.
     * </pre>
     */
    @io.grpc.ExperimentalApi("https://github.com/grpc/grpc-java/issues/10918")
    public io.grpc.stub.BlockingClientCall<?, dev.imagestorage.v1.CopyResponse>
        copy(dev.imagestorage.v1.CopyRequest request) {
      return io.grpc.stub.ClientCalls.blockingV2ServerStreamingCall(
          getChannel(), getCopyMethod(), getCallOptions(), request);
    }
  }

  /**
   * A stub to allow clients to do limited synchronous rpc calls to service Maintenance.
   * <pre>
   * Checks stores and copies between them.
   * </pre>
   */
  public static final class MaintenanceBlockingStub
      extends io.grpc.stub.AbstractBlockingStub<MaintenanceBlockingStub> {
    private MaintenanceBlockingStub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected MaintenanceBlockingStub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new MaintenanceBlockingStub(channel, callOptions);
    }

    /**
     * <pre>
     * Compares records and bytes, and says what does not fit together: findings and progress as they come, then one
     * summary. Without repair and forget_missing it only reads. What is being saved or deleted meanwhile is no finding.
     * NOT_FOUND: PROVIDER_NOT_FOUND. INVALID_ARGUMENT: FIELD_INVALID. RESOURCE_EXHAUSTED: DISK_FULL.
     * FAILED_PRECONDITION: STORE_REPLACED (also where most images have no bytes and are to be forgotten), STORE_READ_ONLY,
     * BACKEND_AUTH. UNAVAILABLE: BACKEND_UNAVAILABLE, CATALOG_REBUILDING (forget_missing in a bucket).
     * INTERNAL: STORAGE_IO.
     * </pre>
     */
    public java.util.Iterator<dev.imagestorage.v1.VerifyResponse> verify(
        dev.imagestorage.v1.VerifyRequest request) {
      return io.grpc.stub.ClientCalls.blockingServerStreamingCall(
          getChannel(), getVerifyMethod(), getCallOptions(), request);
    }

    /**
     * <pre>
     * Copies images with their records, byte for byte, under the same filenames: failures and progress as they come, then
     * one summary. An image that the target has is skipped, so that a copy that was interrupted is simply started again.
     * An image that fails does not stop the others; a store that fails does: the summary then says what was done until
     * then, and the error, whose message begins with the name of the provider, follows it.
     * NOT_FOUND: PROVIDER_NOT_FOUND. INVALID_ARGUMENT: FIELD_INVALID. RESOURCE_EXHAUSTED: DISK_FULL.
     * FAILED_PRECONDITION: STORE_REPLACED, STORE_READ_ONLY, BACKEND_AUTH. UNAVAILABLE: CATALOG_REBUILDING,
     * BACKEND_UNAVAILABLE. INTERNAL: STORAGE_IO.
     * </pre>
     */
    public java.util.Iterator<dev.imagestorage.v1.CopyResponse> copy(
        dev.imagestorage.v1.CopyRequest request) {
      return io.grpc.stub.ClientCalls.blockingServerStreamingCall(
          getChannel(), getCopyMethod(), getCallOptions(), request);
    }
  }

  /**
   * A stub to allow clients to do ListenableFuture-style rpc calls to service Maintenance.
   * <pre>
   * Checks stores and copies between them.
   * </pre>
   */
  public static final class MaintenanceFutureStub
      extends io.grpc.stub.AbstractFutureStub<MaintenanceFutureStub> {
    private MaintenanceFutureStub(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      super(channel, callOptions);
    }

    @java.lang.Override
    protected MaintenanceFutureStub build(
        io.grpc.Channel channel, io.grpc.CallOptions callOptions) {
      return new MaintenanceFutureStub(channel, callOptions);
    }
  }

  private static final int METHODID_VERIFY = 0;
  private static final int METHODID_COPY = 1;

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
        case METHODID_VERIFY:
          serviceImpl.verify((dev.imagestorage.v1.VerifyRequest) request,
              (io.grpc.stub.StreamObserver<dev.imagestorage.v1.VerifyResponse>) responseObserver);
          break;
        case METHODID_COPY:
          serviceImpl.copy((dev.imagestorage.v1.CopyRequest) request,
              (io.grpc.stub.StreamObserver<dev.imagestorage.v1.CopyResponse>) responseObserver);
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
        default:
          throw new AssertionError();
      }
    }
  }

  public static final io.grpc.ServerServiceDefinition bindService(AsyncService service) {
    return io.grpc.ServerServiceDefinition.builder(getServiceDescriptor())
        .addMethod(
          getVerifyMethod(),
          io.grpc.stub.ServerCalls.asyncServerStreamingCall(
            new MethodHandlers<
              dev.imagestorage.v1.VerifyRequest,
              dev.imagestorage.v1.VerifyResponse>(
                service, METHODID_VERIFY)))
        .addMethod(
          getCopyMethod(),
          io.grpc.stub.ServerCalls.asyncServerStreamingCall(
            new MethodHandlers<
              dev.imagestorage.v1.CopyRequest,
              dev.imagestorage.v1.CopyResponse>(
                service, METHODID_COPY)))
        .build();
  }

  private static abstract class MaintenanceBaseDescriptorSupplier
      implements io.grpc.protobuf.ProtoFileDescriptorSupplier, io.grpc.protobuf.ProtoServiceDescriptorSupplier {
    MaintenanceBaseDescriptorSupplier() {}

    @java.lang.Override
    public com.google.protobuf.Descriptors.FileDescriptor getFileDescriptor() {
      return dev.imagestorage.v1.MaintenanceOuterClass.getDescriptor();
    }

    @java.lang.Override
    public com.google.protobuf.Descriptors.ServiceDescriptor getServiceDescriptor() {
      return getFileDescriptor().findServiceByName("Maintenance");
    }
  }

  private static final class MaintenanceFileDescriptorSupplier
      extends MaintenanceBaseDescriptorSupplier {
    MaintenanceFileDescriptorSupplier() {}
  }

  private static final class MaintenanceMethodDescriptorSupplier
      extends MaintenanceBaseDescriptorSupplier
      implements io.grpc.protobuf.ProtoMethodDescriptorSupplier {
    private final java.lang.String methodName;

    MaintenanceMethodDescriptorSupplier(java.lang.String methodName) {
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
      synchronized (MaintenanceGrpc.class) {
        result = serviceDescriptor;
        if (result == null) {
          serviceDescriptor = result = io.grpc.ServiceDescriptor.newBuilder(SERVICE_NAME)
              .setSchemaDescriptor(new MaintenanceFileDescriptorSupplier())
              .addMethod(getVerifyMethod())
              .addMethod(getCopyMethod())
              .build();
        }
      }
    }
    return result;
  }
}
