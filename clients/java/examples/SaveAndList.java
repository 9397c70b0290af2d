import static java.util.concurrent.TimeUnit.MINUTES;
import static java.util.concurrent.TimeUnit.NANOSECONDS;
import static java.util.concurrent.TimeUnit.SECONDS;

import com.google.protobuf.Any;
import com.google.protobuf.ByteString;
import com.google.protobuf.util.Timestamps;
import com.google.rpc.RetryInfo;
import dev.imagestorage.v1.Image;
import dev.imagestorage.v1.ImageMetadata;
import dev.imagestorage.v1.ImageStorageGrpc;
import dev.imagestorage.v1.ImageStorageGrpc.ImageStorageBlockingV2Stub;
import dev.imagestorage.v1.ListRequest;
import dev.imagestorage.v1.SaveHeader;
import dev.imagestorage.v1.SaveRequest;
import dev.imagestorage.v1.SaveResponse;
import dev.imagestorage.v1.StatsRequest;
import io.grpc.ConnectivityState;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Status;
import io.grpc.StatusException;
import io.grpc.protobuf.StatusProto;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ThreadLocalRandom;

/**
 * Streams an image file to ImageStorage, repeats what fails in passing, and lists the newest
 * images.
 */
public final class SaveAndList {
  private static final int CHUNK_BYTES = 256 * 1024;
  private static final int MAX_RETRIES = 6;
  private static final Duration CONNECT_TIMEOUT = Duration.ofMillis(2_500);

  public static void main(String[] args) throws Exception {
    var file = Path.of(args[0]);
    var address = System.getenv().getOrDefault("IMAGE_STORAGE_ADDRESS", "127.0.0.1:50051");
    var channel = connect(address);
    try {
      var storage = ImageStorageGrpc.newBlockingV2Stub(channel);
      expectDaemon(channel, address);
      var saved = save(storage, file, headerOf(file)).getImage();
      System.out.println("saved " + saved.getFilename() + " at " + linkOf(saved, address));
      list(storage, ListRequest.newBuilder().setLimit(10).build());
    } finally {
      channel.shutdownNow();
    }
  }

  /** {@code host:port} or {@code unix:/path}; the connection is made by the first call. */
  static ManagedChannel connect(String address) {
    var builder = Grpc.newChannelBuilder(address, InsecureChannelCredentials.create());
    // grpc-java would send the path, which is not valid there.
    if (address.startsWith("unix:")) builder.overrideAuthority("localhost");
    return builder.build();
  }

  /** Ends the program where there is no daemon; retries are for one that restarts. */
  private static void expectDaemon(ManagedChannel channel, String address)
      throws InterruptedException {
    var until = System.nanoTime() + CONNECT_TIMEOUT.toNanos();
    var state = channel.getState(true);
    while (state == ConnectivityState.IDLE || state == ConnectivityState.CONNECTING) {
      var changed = new CountDownLatch(1);
      channel.notifyWhenStateChanged(state, changed::countDown);
      if (!changed.await(until - System.nanoTime(), NANOSECONDS)) break;
      state = channel.getState(true);
    }
    if (state == ConnectivityState.READY) return;
    var failed = state == ConnectivityState.TRANSIENT_FAILURE;
    var cause = failed ? causeOf(channel) : "it does not answer";
    System.err.println("no daemon at " + address + ": " + cause);
    System.exit(1);
  }

  /** Of a connection that failed: a call fails at once then, and has it. */
  private static String causeOf(ManagedChannel channel) throws InterruptedException {
    var storage = ImageStorageGrpc.newBlockingV2Stub(channel).withDeadlineAfter(1, SECONDS);
    try {
      storage.stats(StatsRequest.getDefaultInstance());
      return "it was away for a moment";
    } catch (StatusException failed) {
      Throwable cause = failed;
      while (cause.getCause() != null) cause = cause.getCause();
      return cause.getMessage();
    }
  }

  /** The URL made absolute; without a publicUrl it is a path on the daemon. */
  private static String linkOf(Image image, String address) {
    var isPath = image.getUrl().startsWith("/") && !address.startsWith("unix:");
    return isPath ? "http://" + address + image.getUrl() : image.getUrl();
  }

  private static SaveHeader headerOf(Path file) throws IOException {
    return SaveHeader.newBuilder()
        .setIdempotencyKey(UUID.randomUUID().toString())
        .setSize(Files.size(file))
        .setMetadata(
            ImageMetadata.newBuilder()
                .setPrompt("a red fox")
                .setModel("flux-schnell")
                .setParametersJson("{\"seed\": 18446744073709551615}")
                .setTimestamp(Timestamps.now()))
        .build();
  }

  /**
   * Every attempt sends the same idempotency key and timestamp, so that none makes a second image.
   */
  static SaveResponse save(ImageStorageBlockingV2Stub storage, Path file, SaveHeader header)
      throws IOException, InterruptedException, StatusException {
    var untilDeadline = storage.withDeadlineAfter(10, MINUTES);
    for (int failures = 0; ; failures++) {
      try {
        return saveOnce(untilDeadline, file, header);
      } catch (StatusException failed) {
        var retryDelay = retryDelay(failed);
        if (retryDelay.isEmpty() || failures == MAX_RETRIES) throw failed;
        var step = Math.min(5_000, 100L << failures);
        var backoff = ThreadLocalRandom.current().nextLong(step / 2, step);
        Thread.sleep(retryDelay.get().toMillis() + backoff);
      }
    }
  }

  private static SaveResponse saveOnce(
      ImageStorageBlockingV2Stub storage, Path file, SaveHeader header)
      throws IOException, InterruptedException, StatusException {
    var call = storage.save();
    try (var bytes = Files.newInputStream(file)) {
      // No longer open: the daemon has answered before the end.
      var open = call.write(SaveRequest.newBuilder().setHeader(header).build());
      while (open) {
        var chunk = ByteString.copyFrom(bytes.readNBytes(CHUNK_BYTES));
        if (chunk.isEmpty()) break;
        open = call.write(SaveRequest.newBuilder().setChunk(chunk).build());
      }
    } catch (IOException unreadable) {
      call.cancel("the file cannot be read", unreadable);
      throw unreadable;
    }
    call.halfClose();
    return call.read();
  }

  /** How long to wait at least before the same call is worth another try; empty when it is not. */
  private static Optional<Duration> retryDelay(StatusException failed) throws IOException {
    for (Any detail : StatusProto.fromThrowable(failed).getDetailsList()) {
      if (detail.is(RetryInfo.class)) {
        var delay = detail.unpack(RetryInfo.class).getRetryDelay();
        return Optional.of(Duration.ofSeconds(delay.getSeconds(), delay.getNanos()));
      }
    }
    var unavailable = failed.getStatus().getCode() == Status.Code.UNAVAILABLE;
    return unavailable ? Optional.of(Duration.ZERO) : Optional.empty();
  }

  private static void list(ImageStorageBlockingV2Stub storage, ListRequest request)
      throws InterruptedException, StatusException {
    var batches = storage.list(request);
    while (batches.hasNext()) {
      for (Image image : batches.read().getImagesList()) {
        System.out.println(image.getFilename() + ": " + image.getMetadata().getPrompt());
      }
    }
  }
}
