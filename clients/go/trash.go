// Takes deletes back: restores, lists and purges the images in the trash.

package imagestorage

import (
	"context"
	"errors"
	"iter"
	"slices"

	"google.golang.org/grpc/codes"

	pb "github.com/imagestorage/imagestorage/clients/go/imagestoragev1"
)

const noTrash = "it has no trash and deletes for good; update it to take deletes back"

// Restore brings any number of images back from the trash, as they were, and returns one result per filename, in order.
// After a lost answer the retry reports as NOT_DELETED what the lost attempt restored. It fails with codes.Unimplemented
// when the daemon is older, as do ListTrash, Purge and PurgeAll.
func (c *Client) Restore(ctx context.Context, filenames []string, opts ...TrashOption) ([]RestoreResult, error) {
	ctx, cancel := c.bounded(ctx, defaultTimeout)
	defer cancel()
	results := make([]RestoreResult, 0, len(filenames))
	for names := range slices.Chunk(filenames, maxFilenamesPerCall) {
		request := &pb.RestoreRequest{Filenames: names, Provider: providerOf(opts)}
		answer, err := ask(ctx, c, c.rpc.Restore, request, true)
		if err != nil {
			return results, explainOlder(err, noTrash)
		}
		for _, result := range answer.Results {
			results = append(results, RestoreResult{result.Filename, result.Restored, result.Reason})
		}
	}
	return results, nil
}

// ListTrash yields the images in the trash, the last deleted first, each with DeleteTime and PurgeTime, as List does.
func (c *Client) ListTrash(ctx context.Context, options TrashOptions) iter.Seq2[*Image, error] {
	start := func(ctx context.Context, pageToken string, limit uint32) (batches[*pb.ListTrashResponse], error) {
		request := &pb.ListTrashRequest{Provider: options.Provider, Query: options.Query, Limit: limit, PageToken: pageToken}
		return c.rpc.ListTrash(ctx, request)
	}
	listed := images(ctx, c, options.Limit, start, func(*pb.ListTrashResponse) {})
	return func(yield func(*Image, error) bool) {
		for image, err := range listed {
			if !yield(image, explainOlder(err, noTrash)) {
				return
			}
		}
	}
}

// Purge deletes images of the trash for good, a live one never, and returns what is gone; after a lost answer without what
// the lost attempt deleted. A filename that is not in the trash is left out.
func (c *Client) Purge(ctx context.Context, filenames []string, opts ...TrashOption) (*PurgeResult, error) {
	ctx, cancel := c.bounded(ctx, defaultTimeout)
	defer cancel()
	gone := &PurgeResult{}
	for names := range slices.Chunk(filenames, maxFilenamesPerCall) {
		if _, err := c.purge(ctx, gone, &pb.PurgeRequest{Filenames: names, Provider: providerOf(opts)}); err != nil {
			return gone, err
		}
	}
	return gone, nil
}

// PurgeAll deletes all images of the trash for good, as Purge does.
func (c *Client) PurgeAll(ctx context.Context, opts ...TrashOption) (*PurgeResult, error) {
	ctx, cancel := c.bounded(ctx, defaultTimeout)
	defer cancel()
	gone := &PurgeResult{}
	for more := true; more; {
		var err error
		if more, err = c.purge(ctx, gone, &pb.PurgeRequest{All: true, Provider: providerOf(opts)}); err != nil {
			return gone, err
		}
	}
	return gone, nil
}

// purge adds what is gone, and returns whether more are left of all.
func (c *Client) purge(ctx context.Context, gone *PurgeResult, request *pb.PurgeRequest) (bool, error) {
	answer, err := ask(ctx, c, c.rpc.Purge, request, true)
	if err != nil {
		return false, explainOlder(err, noTrash)
	}
	gone.Count += answer.Count
	gone.Bytes += answer.Bytes
	return answer.More, nil
}

func providerOf(opts []TrashOption) string {
	provider := ""
	for _, option := range opts {
		provider = option.trashProvider()
	}
	return provider
}

// explainOlder says in the error of an unknown method what the daemon is too old for.
func explainOlder(err error, lacks string) error {
	if failed, ok := errors.AsType[*Error](err); ok && failed.Code == codes.Unimplemented {
		failed.Message = "this daemon is older: " + lacks
	}
	return err
}
