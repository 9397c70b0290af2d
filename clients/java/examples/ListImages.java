import dev.imagestorage.v1.ImageStorageGrpc;
import dev.imagestorage.v1.ListRequest;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;

/** Prints the newest images that match. */
public final class ListImages {
  public static void main(String[] args) throws Exception {
    var credentials = InsecureChannelCredentials.create();
    var channel = Grpc.newChannelBuilder("localhost:50051", credentials).build();
    try {
      var storage = ImageStorageGrpc.newBlockingV2Stub(channel);
      var request = ListRequest.newBuilder().setQuery("red fox").setLimit(20).build();
      var batches = storage.list(request);
      while (batches.hasNext()) {
        for (var image : batches.read().getImagesList()) System.out.println(image.getFilename());
      }
    } finally {
      channel.shutdownNow();
    }
  }
}
