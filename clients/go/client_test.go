// What a caller notices: verbs against a real daemon, over TCP and over a socket.

package imagestorage_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/imagestorage/imagestorage/clients/go/imagestoragev1"

	imagestorage "github.com/imagestorage/imagestorage/clients/go"
)

func TestKeepsWhatWasSaidOfAnImageAndFindsCountsAndDeletesIt(t *testing.T) {
	daemon := startDaemon(t)
	for _, address := range []string{daemon.address, daemon.unixAddress} {
		t.Run(address, func(t *testing.T) {
			ctx := t.Context()
			client := dial(t, address)
			data := png(1_000_000)
			metadata := imagestorage.Metadata{
				Prompt:     "ein Fuchs im Schnee 🦊 狐",
				Model:      "black-forest-labs/FLUX.1 [dev] " + address,
				Timestamp:  time.Date(2024, 9, 27, 14, 15, 22, 0, time.UTC),
				Category:   "tests",
				Parameters: []byte(`{"seed":18446744073709551615, "steps": 4}`),
				Tags:       []string{"fox", "snow"},
			}
			var progress int64
			image, err := client.Save(ctx, bytes.NewReader(data), metadata, imagestorage.WithPinned(),
				imagestorage.WithContentType("image/png"), imagestorage.WithProvider("local"),
				imagestorage.WithProgress(func(sent int64) { progress = sent }))
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(image.Filename, "20240927_141522_") || image.SHA256 != sha256.Sum256(data) ||
				image.Size != uint64(len(data)) || image.Width != 1 || !image.Pinned || image.Replayed || image.CreateTime.IsZero() {
				t.Errorf("saved %+v", image)
			}
			if progress != int64(len(data)) {
				t.Errorf("progress ended at %d of %d bytes", progress, len(data))
			}
			found, body := get(t, client, image.Filename)
			if !bytes.Equal(body, data) {
				t.Error("other bytes came back")
			}
			if got := found.Metadata; got.Prompt != metadata.Prompt || got.Model != metadata.Model ||
				!got.Timestamp.Equal(metadata.Timestamp) || got.Category != metadata.Category ||
				string(got.Parameters) != string(metadata.Parameters) || !slices.Equal(got.Tags, metadata.Tags) {
				t.Errorf("metadata %+v", got)
			}
			names := list(t, client, imagestorage.ListOptions{Query: "fuchs schnee", Tags: []string{"snow"}, Model: metadata.Model,
				Category: "tests", Pinned: new(true), Since: metadata.Timestamp, Until: metadata.Timestamp.Add(time.Second)})
			if !slices.Equal(names, []string{image.Filename}) {
				t.Errorf("listed %v", names)
			}
			stats, err := client.Stats(ctx, "*")
			if err != nil || len(stats) != 1 || stats[0].Count != 1 || stats[0].Bytes != image.Size || stats[0].FreeBytes == nil ||
				!stats[0].Newest.Equal(metadata.Timestamp) || stats[0].ByModel[0].Name != metadata.Model {
				t.Errorf("stats %+v, %v", stats, err)
			}
			results, err := client.Delete(ctx, []string{image.Filename, "missing.png"})
			want := []imagestorage.DeleteResult{
				{Filename: image.Filename, Deleted: true, RestorableUntil: results[0].RestorableUntil},
				{Filename: "missing.png", Reason: "IMAGE_NOT_FOUND"},
			}
			if err != nil || !slices.Equal(results, want) || results[0].RestorableUntil.Before(time.Now()) {
				t.Errorf("deleted %v, %v", results, err)
			}
		})
	}
}

func TestEveryImageOfTheCollectionComesBackAsItWas(t *testing.T) {
	files, _ := filepath.Glob("../../../shared/images/*")
	if len(files) == 0 {
		lacking(t, "../shared/images")
	}
	client := dial(t, shared.address)
	for _, path := range files {
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		image, err := client.Save(t.Context(), file, imagestorage.Metadata{Model: modelOf(t)})
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		data, _ := os.ReadFile(path)
		if _, body := get(t, client, image.Filename); !bytes.Equal(body, data) {
			t.Errorf("%s came back with other bytes", path)
		}
	}
}

func TestReadsRanges(t *testing.T) {
	client := dial(t, shared.address)
	data := png(1_000_000)
	image := save(t, client, data)
	size := uint64(len(data))
	for _, r := range []struct{ offset, limit, end uint64 }{
		{0, 1, 1}, {10, 600_000, 600_010}, {999_999, 0, size}, {size, 0, size}, {999_990, 100, size},
	} {
		if _, body := get(t, client, image.Filename, imagestorage.WithRange(r.offset, r.limit)); !bytes.Equal(body, data[r.offset:r.end]) {
			t.Errorf("range %+v gave %d bytes", r, len(body))
		}
	}
	if _, body := get(t, client, image.Filename, imagestorage.WithMetadataOnly()); len(body) != 0 {
		t.Errorf("%d bytes with the metadata", len(body))
	}
	_, _, err := client.Get(t.Context(), image.Filename, imagestorage.WithRange(size+1, 0))
	refused(t, err, codes.OutOfRange, "OFFSET_OUT_OF_RANGE")
	_, _, err = client.Get(t.Context(), "missing.png")
	refused(t, err, codes.NotFound, "IMAGE_NOT_FOUND")
}

func TestABodyThatWasClosedGivesNothingMore(t *testing.T) {
	client := dial(t, shared.address)
	image := save(t, client, png(1_000_000))
	_, body, err := client.Get(t.Context(), image.Filename)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := body.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(body.Close(), body.Close()); err != nil {
		t.Error(err)
	}
	if n, err := body.Read(make([]byte, 1)); n != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("read %d bytes, %v", n, err)
	}
}

func TestListsAsManyAsAskedInTheOrderAsked(t *testing.T) {
	client := dial(t, shared.address)
	var saved []string
	for i := range 230 {
		metadata := imagestorage.Metadata{Model: modelOf(t), Prompt: strconv.Itoa(i), Timestamp: time.UnixMilli(int64(i) * 1000)}
		image, err := client.Save(t.Context(), bytes.NewReader(png(0)), metadata)
		if err != nil {
			t.Fatal(err)
		}
		saved = append(saved, image.Filename)
	}
	if names := list(t, client, imagestorage.ListOptions{Model: modelOf(t), OldestFirst: true}); !slices.Equal(names, saved) {
		t.Errorf("listed %d images", len(names))
	}
	slices.Reverse(saved)
	if names := list(t, client, imagestorage.ListOptions{Model: modelOf(t), Limit: 150}); !slices.Equal(names, saved[:150]) {
		t.Errorf("listed %d images", len(names))
	}
	for range client.List(t.Context(), all(t)) {
		break
	}
	for _, err := range client.List(t.Context(), imagestorage.ListOptions{Provider: "nowhere"}) {
		refused(t, err, codes.NotFound, "PROVIDER_NOT_FOUND")
	}
}

func TestCleansUpWhatNothingProtects(t *testing.T) {
	client := dial(t, shared.address)
	for range 5 {
		save(t, client, png(0))
	}
	options := imagestorage.CleanupOptions{Model: modelOf(t), KeepCount: new(uint32(2)), DryRun: true}
	plan, err := client.Cleanup(t.Context(), options)
	if err != nil || plan.DeletedCount != 3 || !plan.DryRun {
		t.Errorf("plan %+v, %v", plan, err)
	}
	options.DryRun, options.MaxDeletes = false, new(uint32(1))
	done, err := client.Cleanup(t.Context(), options)
	if err != nil || !done.More || !slices.Equal(done.Filenames, plan.Filenames[:1]) {
		t.Errorf("done %+v, %v", done, err)
	}
	if left := list(t, client, all(t)); len(left) != 4 {
		t.Errorf("%d images left", len(left))
	}
	_, err = client.Cleanup(t.Context(), imagestorage.CleanupOptions{Model: modelOf(t)})
	refused(t, err, codes.InvalidArgument, "CLEANUP_WITHOUT_CRITERION")
}

func TestSendsAnAgeAndItsDateBesideIt(t *testing.T) {
	var got *pb.CleanupRequest
	address := startScripted(t, scripted{cleanup: func(request *pb.CleanupRequest) (*pb.CleanupResponse, error) {
		got = request
		return &pb.CleanupResponse{KeptFuture: 3}, nil
	}})
	age := 30 * 24 * time.Hour
	before := time.Now().Add(-age)
	done, err := dial(t, address).Cleanup(t.Context(), imagestorage.CleanupOptions{OlderThanAge: age})
	if err != nil || done.KeptFuture != 3 {
		t.Fatalf("done %+v, %v", done, err)
	}
	date := got.OlderThan.AsTime()
	if got.OlderThanAge.AsDuration() != age || date.Before(before) || date.After(time.Now().Add(-age)) {
		t.Errorf("sent the age %v and the date %v", got.OlderThanAge.AsDuration(), date)
	}
}

func TestTellsTheSettingsOfAGenerationAndAsksToIgnoreThoseInTheFile(t *testing.T) {
	var embedded []pb.Embedded
	address := startScripted(t, scripted{save: func(stream grpc.ClientStreamingServer[pb.SaveRequest, pb.SaveResponse]) error {
		first, err := stream.Recv()
		embedded = append(embedded, first.GetHeader().GetEmbedded())
		for err == nil {
			_, err = stream.Recv()
		}
		return stream.SendAndClose(&pb.SaveResponse{Image: &pb.Image{Generation: &pb.Generation{
			NegativePrompt: "blurry", Seed: "18446744073709551615", Steps: new(uint32(20)), Sampler: "euler",
			Loras: []string{"ink"}, Width: 832,
		}, ThumbHash: []byte{1, 2, 3}}})
	}})
	client := dial(t, address)
	for _, options := range [][]imagestorage.SaveOption{{}, {imagestorage.WithEmbeddedIgnored()}} {
		image, err := client.Save(t.Context(), bytes.NewReader(png(0)), imagestorage.Metadata{}, options...)
		if err != nil {
			t.Fatal(err)
		}
		got := image.Generation
		if got.NegativePrompt != "blurry" || got.Seed != "18446744073709551615" || *got.Steps != 20 || got.CFG != nil ||
			got.Sampler != "euler" || !slices.Equal(got.LoRAs, []string{"ink"}) || got.Width != 832 {
			t.Errorf("got %+v", got)
		}
		if !bytes.Equal(image.ThumbHash, []byte{1, 2, 3}) {
			t.Errorf("got the ThumbHash %v", image.ThumbHash)
		}
	}
	if !slices.Equal(embedded, []pb.Embedded{pb.Embedded_EMBEDDED_UNSPECIFIED, pb.Embedded_EMBEDDED_IGNORE}) {
		t.Errorf("sent %v", embedded)
	}
}

func TestPassesOnHints(t *testing.T) {
	var asked []bool
	address := startScripted(t, scripted{list: func(request *pb.ListRequest, stream grpc.ServerStreamingServer[pb.ListResponse]) error {
		asked = append(asked, request.Hints)
		return stream.Send(&pb.ListResponse{Hints: []*pb.Hint{{Field: "model", Values: []string{"dreamshaper_8"}}}})
	}})
	var heard []imagestorage.Hint
	hear := func(hints []imagestorage.Hint) { heard = append(heard, hints...) }
	for _, options := range []imagestorage.ListOptions{{Model: "dreamshaper", OnHints: hear}, {}} {
		for image, err := range dial(t, address).List(t.Context(), options) {
			t.Errorf("listed %v, %v", image, err)
		}
	}
	if !slices.Equal(asked, []bool{true, false}) {
		t.Errorf("asked %v", asked)
	}
	if len(heard) != 1 || heard[0].Field != "model" || !slices.Equal(heard[0].Values, []string{"dreamshaper_8"}) {
		t.Errorf("heard %v", heard)
	}
}

func TestCountsWhatMatches(t *testing.T) {
	var got *pb.StatsRequest
	address := startScripted(t, scripted{stats: func(request *pb.StatsRequest) (*pb.StatsResponse, error) {
		got = request
		groups := []*pb.GroupStats{{Name: "2026-11", Count: 3, Bytes: 1 << 40}}
		return &pb.StatsResponse{Total: &pb.Totals{Count: 3, Bytes: 1 << 40}, Groups: groups, More: true}, nil
	}})
	totals, err := dial(t, address).Totals(t.Context(), imagestorage.TotalsOptions{
		Query: "fox seed:42", Pinned: new(false), By: imagestorage.ByMonth, TimeZone: "Europe/Berlin",
	})
	if err != nil {
		t.Fatal(err)
	}
	if totals.Count != 3 || totals.Bytes != 1<<40 || !totals.Oldest.IsZero() || !totals.More ||
		!slices.Equal(totals.Groups, []imagestorage.GroupStats{{Name: "2026-11", Count: 3, Bytes: 1 << 40}}) {
		t.Errorf("totals %+v", totals)
	}
	if got.By != pb.GroupBy_GROUP_BY_MONTH || got.Query != "fox seed:42" || *got.Pinned || got.TimeZone != "Europe/Berlin" {
		t.Errorf("asked %v", got)
	}
}

func TestNamesAnOlderDaemonWhereItCountsOnlyWholeProviders(t *testing.T) {
	address := startScripted(t, scripted{stats: func(*pb.StatsRequest) (*pb.StatsResponse, error) {
		return &pb.StatsResponse{Providers: []*pb.ProviderStats{{Provider: "local", Count: 7}}}, nil
	}})
	client := dial(t, address)
	if providers, err := client.Stats(t.Context(), ""); err != nil || providers[0].Count != 7 {
		t.Errorf("stats %v, %v", providers, err)
	}
	_, err := client.Totals(t.Context(), imagestorage.TotalsOptions{Query: "fox"})
	refused(t, err, codes.Unimplemented, "")
	if !strings.Contains(err.Error(), "the daemon is older than totals") {
		t.Errorf("refused with %v", err)
	}
}

func TestTakesOneCutoffOnly(t *testing.T) {
	client := dial(t, shared.address)
	options := imagestorage.CleanupOptions{OlderThan: time.Now(), OlderThanAge: time.Hour}
	_, err := client.Cleanup(t.Context(), options)
	refused(t, err, codes.InvalidArgument, "")
}

func TestSaysInFullWhatTheDaemonRefuses(t *testing.T) {
	client := dial(t, shared.address)
	whole := png(4096)
	for reason, data := range map[string][]byte{
		"IMAGE_EMPTY":      {},
		"IMAGE_TRUNCATED":  whole[:2000],
		"TYPE_NOT_ALLOWED": []byte("<svg/>, which is none of the types that are kept"),
	} {
		_, err := client.Save(t.Context(), bytes.NewReader(data), about(t))
		refused(t, err, codes.InvalidArgument, reason)
	}
	_, err := client.Save(t.Context(), bytes.NewReader(whole), about(t), imagestorage.WithContentType("image/jpeg"))
	refused(t, err, codes.InvalidArgument, "TYPE_MISMATCH")
	_, err = client.Save(t.Context(), bytes.NewReader(whole), imagestorage.Metadata{Model: modelOf(t), Parameters: []byte("[1]")})
	failed := refused(t, err, codes.InvalidArgument, "FIELD_INVALID")
	if failed.Field != "metadata.parameters_json" || failed.Retryable || failed.OutcomeUnknown || status.Code(err) != codes.InvalidArgument {
		t.Errorf("%+v", failed)
	}
	if names := list(t, client, all(t)); len(names) != 0 {
		t.Errorf("kept %v", names)
	}
}

func TestAKeyThatWasUsedReturnsTheFirstResult(t *testing.T) {
	client := dial(t, shared.address)
	data := png(0)
	metadata := imagestorage.Metadata{Model: modelOf(t), Prompt: "once", Timestamp: time.Now()}
	key := imagestorage.WithIdempotencyKey(modelOf(t))
	first, err := client.Save(t.Context(), bytes.NewReader(data), metadata, key)
	if err != nil {
		t.Fatal(err)
	}
	second, err := client.Save(t.Context(), bytes.NewReader(data), metadata, key)
	if err != nil || !second.Replayed || second.Filename != first.Filename {
		t.Errorf("second %+v, %v", second, err)
	}
	_, err = client.Save(t.Context(), bytes.NewReader(png(0)), metadata, key)
	refused(t, err, codes.AlreadyExists, "IDEMPOTENCY_KEY_REUSED")
}

func TestWhatIsNoAddressIsRefused(t *testing.T) {
	for _, address := range []string{
		"localhost:", "localhost:grpc", "localhost:65536", "http://localhost:50051", "::1:50051",
		"unix:", "unix://run/image-storage.sock",
	} {
		if _, err := imagestorage.Dial(address); err == nil {
			t.Errorf("%q was taken", address)
		}
	}
}

var models sync.Map

// modelOf, about and all keep the images of one run of a test apart from those of others.
func modelOf(t testing.TB) string {
	model, _ := models.LoadOrStore(t, t.Name()+" "+rand.Text())
	return model.(string)
}

func about(t testing.TB) imagestorage.Metadata { return imagestorage.Metadata{Model: modelOf(t)} }

func all(t testing.TB) imagestorage.ListOptions { return imagestorage.ListOptions{Model: modelOf(t)} }

func save(t testing.TB, client *imagestorage.Client, data []byte) *imagestorage.Image {
	t.Helper()
	image, err := client.Save(t.Context(), bytes.NewReader(data), about(t))
	if err != nil {
		t.Fatal(err)
	}
	return image
}

func get(t testing.TB, client *imagestorage.Client, filename string, opts ...imagestorage.GetOption) (*imagestorage.Image, []byte) {
	t.Helper()
	image, body, err := client.Get(t.Context(), filename, opts...)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	data, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return image, data
}

func list(t testing.TB, client *imagestorage.Client, options imagestorage.ListOptions) []string {
	t.Helper()
	var names []string
	for image, err := range client.List(t.Context(), options) {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, image.Filename)
	}
	return names
}

func refused(t testing.TB, err error, code codes.Code, reason string) *imagestorage.Error {
	t.Helper()
	var failed *imagestorage.Error
	if !errors.As(err, &failed) || failed.Code != code || failed.Reason != reason {
		t.Fatalf("want %v %s, got %v", code, reason, err)
	}
	return failed
}
