import com.google.protobuf.ByteString;
import com.google.protobuf.util.Timestamps;
import dev.imagestorage.v1.ImageMetadata;
import dev.imagestorage.v1.ImageStorageGrpc;
import dev.imagestorage.v1.SaveHeader;
import dev.imagestorage.v1.SaveRequest;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.UUID;

/** Streams one image file to ImageStorage; SaveAndList also repeats what fails in passing. */
public final class Save {
  private static final String ADDRESS = "localhost:50051";

  public static void main(String[] args) throws Exception {
    var file = Path.of("fox.png");
    var metadata =
        ImageMetadata.newBuilder()
            .setPrompt("a red fox")
            .setModel("flux-schnell")
            .setParametersJson("{\"seed\": 7}")
            .setTimestamp(Timestamps.now());
    var header =
        SaveHeader.newBuilder()
            .setMetadata(metadata)
            .setSize(Files.size(file))
            .setIdempotencyKey(UUID.randomUUID().toString())
            .build();
    var channel = Grpc.newChannelBuilder(ADDRESS, InsecureChannelCredentials.create()).build();
    try (var bytes = Files.newInputStream(file)) {
      var call = ImageStorageGrpc.newBlockingV2Stub(channel).save();
      // No longer open: the daemon has answered before the end.
      var open = call.write(SaveRequest.newBuilder().setHeader(header).build());
      while (open) {
        var chunk = ByteString.copyFrom(bytes.readNBytes(256 * 1024));
        if (chunk.isEmpty()) break;
        open = call.write(SaveRequest.newBuilder().setChunk(chunk).build());
      }
      call.halfClose();
      var image = call.read().getImage();
      // Without a publicUrl, it is a path on the daemon.
      System.out.println(
          image.getUrl().startsWith("/") ? "http://" + ADDRESS + image.getUrl() : image.getUrl());
    } finally {
      channel.shutdownNow();
    }
  }
}
