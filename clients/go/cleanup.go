// Cleans up: by criteria, by a policy, or a selection.

package imagestorage

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"

	pb "github.com/imagestorage/imagestorage/clients/go/imagestoragev1"
)

// Cleanup deletes old images, or all of a selection, oldest first. It is retried only when it is certain that nothing was
// deleted, or for a dry run. It fails with CLEANUP_WITHOUT_CRITERION without any criterion, selection or policy, with
// POLICY_NOT_FOUND, with PLAN_EXPIRED, and with codes.Unimplemented when a policy or a selection is given and the daemon is
// older, which deletes nothing then.
func (c *Client) Cleanup(ctx context.Context, options CleanupOptions) (*CleanupResult, error) {
	selection := options.Selection
	if hasTwoCutoffs(options.OlderThan, options.OlderThanAge) ||
		selection != nil && hasTwoCutoffs(selection.OlderThan, selection.OlderThanAge) {
		// The daemon would heed the age only.
		const message = "OlderThan and OlderThanAge are two cutoffs; give one of them"
		return nil, &Error{Code: codes.InvalidArgument, Field: "older_than_age", Message: message}
	}
	ctx, cancel := c.bounded(ctx, defaultTimeout)
	defer cancel()
	request := cleanupRequest(options)
	answer, err := ask(ctx, c, c.rpc.Cleanup, request, options.DryRun)
	if err != nil {
		return nil, explainCleanup(err, request)
	}
	return cleanupFrom(answer), nil
}

func hasTwoCutoffs(olderThan time.Time, age time.Duration) bool {
	return !olderThan.IsZero() && age != 0
}

// explainCleanup says what an older daemon does not know: it sees no criterion then.
func explainCleanup(err error, request *pb.CleanupRequest) error {
	failed, ok := errors.AsType[*Error](err)
	if !ok || failed.Reason != "CLEANUP_WITHOUT_CRITERION" {
		return err
	}
	const lacks = "this daemon is older: it knows no %s; update it, or give criteria"
	if request.Policy != "" {
		return &Error{Code: codes.Unimplemented, Message: fmt.Sprintf(lacks, "policies")}
	}
	if request.Selection != nil && selectsAny(request.Selection) {
		return &Error{Code: codes.Unimplemented, Message: fmt.Sprintf(lacks, "selections")}
	}
	return err
}
