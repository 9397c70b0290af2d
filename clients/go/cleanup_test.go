// What a cleanup takes of a selection, by a plan, and what is said of a daemon that knows none.

package imagestorage_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"

	imagestorage "github.com/imagestorage/imagestorage/clients/go"
	pb "github.com/imagestorage/imagestorage/clients/go/imagestoragev1"
)

func TestAPlanTakesWhatItSawAndNobodyTouchedSince(t *testing.T) {
	client, ctx, model := dial(t, shared.address), t.Context(), modelOf(t)
	save := func(number int) string {
		metadata := imagestorage.Metadata{Model: model, Timestamp: time.Unix(int64(1_700_000_000+number), 0), Tags: []string{"junk"}}
		image, err := client.Save(ctx, strings.NewReader(string(png(number))), metadata)
		if err != nil {
			t.Fatal(err)
		}
		return image.Filename
	}
	names := []string{save(0), save(1), save(2)}
	selection := imagestorage.Selection{Model: model, Query: "tag:junk", Except: names[2:]}
	planned, err := client.Cleanup(ctx, imagestorage.CleanupOptions{Selection: &selection, DryRun: true})
	if err != nil || planned.DeletedCount != 2 || len(planned.Plan) == 0 {
		t.Fatalf("planned %+v, %v", planned, err)
	}
	if _, err := client.Update(ctx, names[1], imagestorage.Changes{AddTags: []string{"mine"}}); err != nil {
		t.Fatal(err)
	}
	save(-1)
	selection.Plan = planned.Plan
	done, err := client.Cleanup(ctx, imagestorage.CleanupOptions{Selection: &selection})
	if err != nil || !slices.Equal(done.Filenames, names[:1]) || done.KeptChanged != 2 || done.Plan != nil {
		t.Errorf("cleaned up %+v, %v", done, err)
	}
	other := imagestorage.Selection{Query: "fox", Plan: planned.Plan}
	_, err = client.Cleanup(ctx, imagestorage.CleanupOptions{Selection: &other})
	refused(t, err, codes.InvalidArgument, "FIELD_INVALID")
}

func TestSendsASelectionByItself(t *testing.T) {
	var seen []*pb.CleanupRequest
	older := scripted{cleanup: func(request *pb.CleanupRequest) (*pb.CleanupResponse, error) {
		seen = append(seen, request)
		return nil, refusal(codes.InvalidArgument, &errdetails.ErrorInfo{Reason: "CLEANUP_WITHOUT_CRITERION"})
	}}
	client, ctx := dial(t, startScripted(t, older)), t.Context()
	zero, no := uint32(0), false
	for _, selection := range []imagestorage.Selection{
		{Until: time.Unix(5, 0), OlderThanAge: time.Hour, Except: []string{"a.png"}, Plan: []byte("a plan")},
		{Only: []string{"a.png"}},
		{KeepCount: &zero},
		{Pinned: &no},
		{Plan: []byte("a plan")},
	} {
		_, err := client.Cleanup(ctx, imagestorage.CleanupOptions{Selection: &selection, Provider: "archive"})
		refused(t, err, codes.Unimplemented, "")
		if !strings.Contains(err.Error(), "this daemon is older: it knows no selections") {
			t.Errorf("refused with %v", err)
		}
	}
	for _, request := range seen {
		if request.OlderThan != nil || request.OlderThanAge != nil || request.Model != "" || request.Provider != "archive" {
			t.Errorf("sent %v", request)
		}
	}
	sent := seen[0].Selection
	if sent.DateRange.End.Seconds != 5 || sent.OlderThanAge.Seconds != 3600 || string(sent.Plan) != "a plan" {
		t.Errorf("sent %v", sent)
	}
	nothing := imagestorage.Selection{Except: []string{"a.png"}}
	_, err := client.Cleanup(ctx, imagestorage.CleanupOptions{Selection: &nothing})
	refused(t, err, codes.InvalidArgument, "CLEANUP_WITHOUT_CRITERION")
	both := imagestorage.Selection{OlderThan: time.Unix(5, 0), OlderThanAge: time.Hour}
	_, err = client.Cleanup(ctx, imagestorage.CleanupOptions{Selection: &both})
	refused(t, err, codes.InvalidArgument, "")
}
