import com.google.gson.Gson;
import com.google.gson.annotations.SerializedName;
import com.google.protobuf.Any;
import com.google.protobuf.util.Timestamps;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import dev.imagestorage.v1.DateRange;
import dev.imagestorage.v1.Embedded;
import dev.imagestorage.v1.Generation;
import dev.imagestorage.v1.GetRequest;
import dev.imagestorage.v1.GroupBy;
import dev.imagestorage.v1.GroupStats;
import dev.imagestorage.v1.Image;
import dev.imagestorage.v1.ImageMetadata;
import dev.imagestorage.v1.ImageStorageGrpc;
import dev.imagestorage.v1.ImageStorageGrpc.ImageStorageBlockingV2Stub;
import dev.imagestorage.v1.ListRequest;
import dev.imagestorage.v1.Order;
import dev.imagestorage.v1.SaveHeader;
import dev.imagestorage.v1.StatsRequest;
import dev.imagestorage.v1.View;
import io.grpc.StatusException;
import io.grpc.protobuf.StatusProto;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.UUID;

/**
 * The interop runner of test/interop/README.md: the generated stub, and {@code save} of the
 * example.
 */
final class Interop {
  /** One line of input; what it does not hold keeps these values. */
  private static final class Command {
    @SerializedName("do")
    String verb;

    String address;
    String file;
    String filename;
    long offset;
    int limit;
    String prompt = "";
    String model = "";
    String category = "";
    String query = "";
    String order = "";
    String view = "";
    List<String> tags = List.of();
    String parametersJson = "";
    long timestampMs = System.currentTimeMillis();
    String idempotencyKey = UUID.randomUUID().toString();
    String contentType = "";
    String provider = "";
    Boolean pinned;
    Long startMs;
    Long endMs;
    String embedded = "";
    boolean hints;
    String by = "unspecified";
    String startsWith = "";
    String timeZone = "";
  }

  private record Saved(Picture image, boolean replayed) {}

  private record Got(long size, String sha256) {}

  private record Listed(List<Picture> images, List<Hinted> hints) {}

  private record Hinted(String field, List<String> values) {}

  private record Counted(
      long count, long bytes, Long oldestMs, Long newestMs, List<Group> groups, boolean more) {}

  private record Group(String name, long count, long bytes, boolean rest) {
    static Group of(GroupStats group) {
      return new Group(group.getName(), group.getCount(), group.getBytes(), group.getRest());
    }
  }

  private record Settings(
      String negativePrompt,
      String seed,
      Integer steps,
      Double cfg,
      String sampler,
      String scheduler,
      List<String> loras,
      int width,
      int height) {
    static Settings of(Generation generation) {
      return new Settings(
          generation.getNegativePrompt(),
          generation.getSeed(),
          generation.hasSteps() ? generation.getSteps() : null,
          generation.hasCfg() ? generation.getCfg() : null,
          generation.getSampler(),
          generation.getScheduler(),
          generation.getLorasList(),
          generation.getWidth(),
          generation.getHeight());
    }
  }

  private record Failed(Failure error) {}

  private record Failure(int code, String message, String reason, String field) {}

  private record Picture(
      String filename,
      long size,
      String sha256,
      String contentType,
      int width,
      int height,
      boolean pinned,
      String prompt,
      String model,
      String category,
      List<String> tags,
      String parametersJson,
      long timestampMs,
      Settings generation) {
    static Picture of(Image image) {
      var metadata = image.getMetadata();
      return new Picture(
          image.getFilename(),
          image.getSize(),
          HexFormat.of().formatHex(image.getSha256().toByteArray()),
          image.getContentType(),
          image.getWidth(),
          image.getHeight(),
          image.getPinned(),
          metadata.getPrompt(),
          metadata.getModel(),
          metadata.getCategory(),
          metadata.getTagsList(),
          metadata.getParametersJson(),
          Timestamps.toMillis(metadata.getTimestamp()),
          image.hasGeneration() ? Settings.of(image.getGeneration()) : null);
    }
  }

  public static void main(String[] args) throws Exception {
    var json = new Gson();
    var in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    var out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
    for (String line; (line = in.readLine()) != null; ) {
      out.println(json.toJson(answer(json.fromJson(line, Command.class))));
    }
  }

  private static Record answer(Command command) throws Exception {
    var channel = SaveAndList.connect(command.address);
    try {
      var storage = ImageStorageGrpc.newBlockingV2Stub(channel);
      return switch (command.verb) {
        case "save" -> save(storage, command);
        case "get" -> get(storage, command);
        case "list" -> list(storage, command);
        case "totals" -> totals(storage, command);
        default -> throw new IllegalArgumentException(command.verb);
      };
    } catch (StatusException failed) {
      return new Failed(failureOf(failed));
    } finally {
      channel.shutdownNow();
    }
  }

  private static Saved save(ImageStorageBlockingV2Stub storage, Command command) throws Exception {
    var metadata =
        ImageMetadata.newBuilder()
            .setPrompt(command.prompt)
            .setModel(command.model)
            .setTimestamp(Timestamps.fromMillis(command.timestampMs))
            .setCategory(command.category)
            .setParametersJson(command.parametersJson)
            .addAllTags(command.tags);
    var header =
        SaveHeader.newBuilder()
            .setMetadata(metadata)
            .setProvider(command.provider)
            .setIdempotencyKey(command.idempotencyKey)
            .setContentType(command.contentType)
            .setPinned(Boolean.TRUE.equals(command.pinned))
            .setEmbedded(
                command.embedded.equals("ignore")
                    ? Embedded.EMBEDDED_IGNORE
                    : Embedded.EMBEDDED_UNSPECIFIED)
            .build();
    var saved = SaveAndList.save(storage, Path.of(command.file), header);
    return new Saved(Picture.of(saved.getImage()), saved.getReplayed());
  }

  private static Got get(ImageStorageBlockingV2Stub storage, Command command) throws Exception {
    var request =
        GetRequest.newBuilder()
            .setFilename(command.filename)
            .setOffset(command.offset)
            .setLimit(command.limit)
            .build();
    var messages = storage.get(request);
    var size = 0L;
    var sum = MessageDigest.getInstance("SHA-256");
    while (messages.hasNext()) {
      var chunk = messages.read().getChunk();
      size += chunk.size();
      sum.update(chunk.asReadOnlyByteBuffer());
    }
    return new Got(size, HexFormat.of().formatHex(sum.digest()));
  }

  private static Listed list(ImageStorageBlockingV2Stub storage, Command command) throws Exception {
    var request =
        ListRequest.newBuilder()
            .setDateRange(rangeOf(command))
            .setModel(command.model)
            .setCategory(command.category)
            .setQuery(command.query)
            .addAllTags(command.tags)
            .setLimit(command.limit)
            .setHints(command.hints);
    if (command.pinned != null) request.setPinned(command.pinned);
    if (command.order.equals("oldest")) request.setOrder(Order.ORDER_OLDEST_FIRST);
    if (command.view.equals("row")) request.setView(View.VIEW_ROW);
    var batches = storage.list(request.build());
    var images = new ArrayList<Picture>();
    var hints = new ArrayList<Hinted>();
    while (batches.hasNext()) {
      var batch = batches.read();
      batch.getImagesList().stream().map(Picture::of).forEach(images::add);
      batch.getHintsList().stream()
          .map(hint -> new Hinted(hint.getField(), hint.getValuesList()))
          .forEach(hints::add);
    }
    return new Listed(images, hints);
  }

  private static Counted totals(ImageStorageBlockingV2Stub storage, Command command)
      throws Exception {
    var request =
        StatsRequest.newBuilder()
            .setDateRange(rangeOf(command))
            .setModel(command.model)
            .setCategory(command.category)
            .setQuery(command.query)
            .addAllTags(command.tags)
            .setBy(GroupBy.valueOf("GROUP_BY_" + command.by.toUpperCase(Locale.ROOT)))
            .setStartsWith(command.startsWith)
            .setTimeZone(command.timeZone)
            .setLimit(command.limit);
    if (command.pinned != null) request.setPinned(command.pinned);
    var answer = storage.stats(request.build());
    var total = answer.getTotal();
    return new Counted(
        total.getCount(),
        total.getBytes(),
        total.hasOldest() ? Timestamps.toMillis(total.getOldest()) : null,
        total.hasNewest() ? Timestamps.toMillis(total.getNewest()) : null,
        answer.getGroupsList().stream().map(Group::of).toList(),
        answer.getMore());
  }

  private static DateRange rangeOf(Command command) {
    var range = DateRange.newBuilder();
    if (command.startMs != null) range.setStart(Timestamps.fromMillis(command.startMs));
    if (command.endMs != null) range.setEnd(Timestamps.fromMillis(command.endMs));
    return range.build();
  }

  private static Failure failureOf(StatusException failed) throws IOException {
    var status = StatusProto.fromThrowable(failed);
    String reason = null;
    String field = null;
    for (Any detail : status.getDetailsList()) {
      if (detail.is(ErrorInfo.class)) reason = detail.unpack(ErrorInfo.class).getReason();
      if (detail.is(BadRequest.class)) {
        field = detail.unpack(BadRequest.class).getFieldViolations(0).getField();
      }
    }
    return new Failure(status.getCode(), status.getMessage(), reason, field);
  }
}
