package imagestorage_test

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	imagestorage "github.com/imagestorage/imagestorage/clients/go"
	pb "github.com/imagestorage/imagestorage/clients/go/imagestoragev1"
)

func TestTakesADeleteBack(t *testing.T) {
	client, ctx := dial(t, shared.address), t.Context()
	image := save(t, client, png(0))
	results, err := client.Delete(ctx, []string{image.Filename})
	if err != nil || results[0].RestorableUntil.Before(time.Now()) {
		t.Fatalf("deleted %v, %v", results, err)
	}
	isInTrash := func() bool {
		for found, err := range client.ListTrash(ctx, imagestorage.TrashOptions{}) {
			if err != nil {
				t.Fatal(err)
			}
			if found.Filename == image.Filename {
				return !found.DeleteTime.IsZero() && found.PurgeTime.After(found.DeleteTime)
			}
		}
		return false
	}
	if !isInTrash() {
		t.Error("it is not in the trash")
	}
	restored, err := client.Restore(ctx, []string{image.Filename, "missing.png"})
	want := []imagestorage.RestoreResult{{image.Filename, true, ""}, {"missing.png", false, "IMAGE_NOT_FOUND"}}
	if err != nil || !slices.Equal(restored, want) {
		t.Errorf("restored %v, %v", restored, err)
	}
	if _, body, err := client.Get(ctx, image.Filename); err != nil {
		t.Error(err)
	} else {
		body.Close()
	}
	if gone, err := client.Delete(ctx, []string{image.Filename}, imagestorage.WithPermanent()); err != nil ||
		!gone[0].Deleted || !gone[0].RestorableUntil.IsZero() {
		t.Errorf("deleted for good %v, %v", gone, err)
	}
	if isInTrash() {
		t.Error("it is in the trash")
	}
}

func TestSaysThatTheImageOfAKeyWasDeletedSince(t *testing.T) {
	client, ctx, data := dial(t, shared.address), t.Context(), png(0)
	metadata := imagestorage.Metadata{Model: modelOf(t), Timestamp: time.Now()}
	again := func(opts ...imagestorage.SaveOption) (*imagestorage.Image, error) {
		opts = append(opts, imagestorage.WithIdempotencyKey(metadata.Model), imagestorage.WithTTL(time.Hour))
		return client.Save(ctx, strings.NewReader(string(data)), metadata, opts...)
	}
	image, err := again()
	if err != nil || image.ExpireTime.Before(time.Now()) {
		t.Fatalf("saved %+v, %v", image, err)
	}
	if _, err := client.Delete(ctx, []string{image.Filename}); err != nil {
		t.Fatal(err)
	}
	replayed, err := again()
	if err != nil || !replayed.Replayed || !replayed.Deleted || replayed.Filename != image.Filename {
		t.Errorf("saved again %+v, %v", replayed, err)
	}
	_, err = again(imagestorage.WithUnlessDeleted())
	refused(t, err, codes.FailedPrecondition, "DELETED_BEFORE")
}

func TestRestoresInGroupsAndPurgesUntilAllIsGone(t *testing.T) {
	var groups []int
	var purged []*pb.PurgeRequest
	address := startScripted(t, scripted{trash: trash{
		restore: func(request *pb.RestoreRequest) (*pb.RestoreResponse, error) {
			groups = append(groups, len(request.Filenames))
			if len(groups) == 1 {
				return nil, status.Error(codes.Unavailable, "busy")
			}
			return &pb.RestoreResponse{}, nil
		},
		purge: func(request *pb.PurgeRequest) (*pb.PurgeResponse, error) {
			purged = append(purged, request)
			return &pb.PurgeResponse{Count: 2, Bytes: 10, More: len(purged) == 1}, nil
		},
	}})
	client, ctx := dial(t, address), t.Context()
	names := make([]string, 1001)
	for i := range names {
		names[i] = strconv.Itoa(i)
	}
	if _, err := client.Restore(ctx, names); err != nil || !slices.Equal(groups, []int{1000, 1000, 1}) {
		t.Errorf("asked for %v, %v", groups, err)
	}
	gone, err := client.PurgeAll(ctx, imagestorage.WithProvider("archive"))
	if err != nil || *gone != (imagestorage.PurgeResult{Count: 4, Bytes: 20}) {
		t.Errorf("purged %v, %v", gone, err)
	}
	if gone, err = client.Purge(ctx, []string{"a.png"}); err != nil || gone.Count != 2 {
		t.Errorf("purged %v, %v", gone, err)
	}
	if len(purged) != 3 || !purged[1].All || purged[1].Provider != "archive" || purged[2].All {
		t.Errorf("asked %v", purged)
	}
}

func TestRunsAPolicyAndSaysWhyImagesGo(t *testing.T) {
	until := time.Date(2026, 12, 7, 0, 0, 0, 0, time.UTC)
	reasons := []*pb.Reason{{Text: "older than 30d", Count: 2, Bytes: 10}}
	client := dial(t, startScripted(t, scripted{cleanup: func(request *pb.CleanupRequest) (*pb.CleanupResponse, error) {
		if request.Policy != "drafts" || !request.Permanent {
			t.Errorf("asked %v", request)
		}
		return &pb.CleanupResponse{Reasons: reasons, RestorableUntil: timestamppb.New(until)}, nil
	}}))
	done, err := client.Cleanup(t.Context(), imagestorage.CleanupOptions{Policy: "drafts", Permanent: true})
	want := []imagestorage.CleanupReason{{"older than 30d", 2, 10}}
	if err != nil || !slices.Equal(done.Reasons, want) || !done.RestorableUntil.Equal(until) {
		t.Errorf("cleaned up %+v, %v", done, err)
	}
}

func TestSaysThatAnOlderDaemonHasNoTrashAndNoPolicies(t *testing.T) {
	older := scripted{cleanup: func(*pb.CleanupRequest) (*pb.CleanupResponse, error) {
		return nil, refusal(codes.InvalidArgument, &errdetails.ErrorInfo{Reason: "CLEANUP_WITHOUT_CRITERION"})
	}}
	client, ctx := dial(t, startScripted(t, older)), t.Context()
	_, ofRestore := client.Restore(ctx, []string{"a.png"})
	_, ofPurge := client.PurgeAll(ctx)
	_, ofPolicy := client.Cleanup(ctx, imagestorage.CleanupOptions{Policy: "drafts"})
	var ofList error
	for _, err := range client.ListTrash(ctx, imagestorage.TrashOptions{}) {
		ofList = err
	}
	for _, err := range []error{ofRestore, ofPurge, ofList} {
		refused(t, err, codes.Unimplemented, "")
		if !strings.Contains(err.Error(), "this daemon is older: it has no trash") {
			t.Errorf("refused with %v", err)
		}
	}
	refused(t, ofPolicy, codes.Unimplemented, "")
	if !strings.Contains(ofPolicy.Error(), "this daemon is older: it knows no policies") {
		t.Errorf("refused with %v", ofPolicy)
	}
}

// trash answers as daemons with a trash; without functions as those of before.
type trash struct {
	restore func(*pb.RestoreRequest) (*pb.RestoreResponse, error)
	purge   func(*pb.PurgeRequest) (*pb.PurgeResponse, error)
}

func (s scripted) Restore(ctx context.Context, request *pb.RestoreRequest) (*pb.RestoreResponse, error) {
	if s.trash.restore == nil {
		return s.UnimplementedImageStorageServer.Restore(ctx, request)
	}
	return s.trash.restore(request)
}

func (s scripted) Purge(ctx context.Context, request *pb.PurgeRequest) (*pb.PurgeResponse, error) {
	if s.trash.purge == nil {
		return s.UnimplementedImageStorageServer.Purge(ctx, request)
	}
	return s.trash.purge(request)
}
