// Interop runner of grpc-go with the generated messages and nothing else.
package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/imagestorage/imagestorage/clients/go/imagestoragev1"
	"github.com/imagestorage/imagestorage/test/interop/go/runner"
)

const (
	chunkBytes = 256 * 1024
	attempts   = 6
)

func main() { runner.Run(connected, refusalOf) }

func connected(ctx context.Context, command runner.Command) (runner.Answer, error) {
	transport := insecure.NewCredentials()
	address, isTLS := strings.CutPrefix(command.Address, "https://")
	if isTLS {
		var err error
		if transport, err = credentials.NewClientTLSFromFile(os.Getenv("IMAGE_STORAGE_CA_FILE"), ""); err != nil {
			return nil, err
		}
	}
	if command.Token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+command.Token)
	}
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(transport))
	if err != nil {
		return nil, err
	}
	defer connection.Close()
	return perform(ctx, pb.NewImageStorageClient(connection), command)
}

func perform(ctx context.Context, stub pb.ImageStorageClient, command runner.Command) (runner.Answer, error) {
	switch command.Do {
	case "save":
		return save(ctx, stub, command)
	case "get":
		return get(ctx, stub, command)
	case "list":
		return list(ctx, stub, command)
	case "update":
		request := &pb.UpdateRequest{
			Filename: command.Filename, Pinned: command.Pinned, AddTags: command.AddTags, RemoveTags: command.RemoveTags,
		}
		if command.Category != "" {
			request.Category = &command.Category
		}
		answer, err := stub.Update(ctx, request)
		if err != nil {
			return nil, err
		}
		return runner.Answer{"image": described(answer.Image)}, nil
	case "delete":
		answer, err := stub.Delete(ctx, &pb.DeleteRequest{Filenames: command.Filenames, Permanent: command.Permanent})
		results := []runner.Answer{}
		for _, each := range answer.GetResults() {
			results = append(results, runner.Answer{"filename": each.Filename, "deleted": each.Deleted, "reason": each.Reason,
				"restorable": each.RestorableUntil != nil})
		}
		return runner.Answer{"results": results}, err
	case "restore":
		answer, err := stub.Restore(ctx, &pb.RestoreRequest{Filenames: command.Filenames})
		results := []runner.Answer{}
		for _, each := range answer.GetResults() {
			results = append(results, runner.Answer{"filename": each.Filename, "restored": each.Restored, "reason": each.Reason})
		}
		return runner.Answer{"results": results}, err
	case "listTrash":
		return listTrash(ctx, stub, command)
	case "purge":
		gone, err := stub.Purge(ctx, &pb.PurgeRequest{Filenames: command.Filenames})
		return runner.Answer{"count": gone.GetCount(), "bytes": gone.GetBytes()}, err
	case "cleanup":
		return cleanup(ctx, stub, command)
	case "stats":
		return stats(ctx, stub)
	case "totals":
		return totals(ctx, stub, command)
	}
	return nil, fmt.Errorf("unknown: %s", command.Do)
}

// save tries again with the same header, so that the daemon recognises it.
func save(ctx context.Context, stub pb.ImageStorageClient, command runner.Command) (runner.Answer, error) {
	header, err := headerOf(command)
	if err != nil {
		return nil, err
	}
	for attempt := 1; ; attempt++ {
		answer, err := saveOnce(ctx, stub, header, command.File)
		if err == nil {
			return runner.Answer{"image": described(answer.Image), "replayed": answer.Replayed, "deleted": answer.Deleted}, nil
		}
		if status.Code(err) != codes.Unavailable || attempt == attempts {
			return nil, err
		}
		time.Sleep(50 * time.Millisecond << attempt)
	}
}

func saveOnce(ctx context.Context, stub pb.ImageStorageClient, header *pb.SaveHeader, path string) (*pb.SaveResponse, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	stream, err := stub.Save(ctx)
	if err != nil {
		return nil, err
	}
	err = stream.Send(&pb.SaveRequest{Payload: &pb.SaveRequest_Header{Header: header}})
	for chunk := make([]byte, chunkBytes); err == nil; {
		var n int
		if n, err = file.Read(chunk); n > 0 {
			err = stream.Send(&pb.SaveRequest{Payload: &pb.SaveRequest_Chunk{Chunk: chunk[:n]}})
		}
	}
	// At the end of the file, or where the daemon has answered before: the answer says which.
	if err != io.EOF {
		return nil, err
	}
	return stream.CloseAndRecv()
}

func headerOf(command runner.Command) (*pb.SaveHeader, error) {
	sum, err := hex.DecodeString(command.SHA256)
	if err != nil {
		return nil, err
	}
	header := &pb.SaveHeader{
		Metadata: &pb.ImageMetadata{
			Prompt:         command.Prompt,
			Model:          command.Model,
			Timestamp:      timestamp(command.TimestampMs),
			Category:       command.Category,
			ParametersJson: command.ParametersJSON,
			Tags:           command.Tags,
		},
		Provider:       command.Provider,
		IdempotencyKey: command.IdempotencyKey,
		Size:           command.Size,
		Sha256:         sum,
		ContentType:    command.ContentType,
		Pinned:         command.Pinned != nil && *command.Pinned,
		Ttl:            duration(command.TTLMs),
		UnlessDeleted:  command.UnlessDeleted,
	}
	if command.Embedded == "ignore" {
		header.Embedded = pb.Embedded_EMBEDDED_IGNORE
	}
	if header.IdempotencyKey == "" {
		header.IdempotencyKey = rand.Text()
	}
	if header.Metadata.Timestamp == nil {
		header.Metadata.Timestamp = timestamppb.Now()
	}
	return header, nil
}

func get(ctx context.Context, stub pb.ImageStorageClient, command runner.Command) (runner.Answer, error) {
	request := &pb.GetRequest{Filename: command.Filename, Offset: command.Offset, Limit: command.Limit}
	stream, err := stub.Get(ctx, request)
	if err != nil {
		return nil, err
	}
	sum, size := sha256.New(), 0
	for {
		message, err := stream.Recv()
		if err == io.EOF {
			return runner.Answer{"size": size, "sha256": hex.EncodeToString(sum.Sum(nil))}, nil
		}
		if err != nil {
			return nil, err
		}
		sum.Write(message.GetChunk())
		size += len(message.GetChunk())
	}
}

func list(ctx context.Context, stub pb.ImageStorageClient, command runner.Command) (runner.Answer, error) {
	stream, err := stub.List(ctx, listRequest(command))
	if err != nil {
		return nil, err
	}
	images, hints, nextPageToken := []runner.Answer{}, []runner.Answer{}, ""
	for {
		batch, err := stream.Recv()
		if err == io.EOF {
			return runner.Answer{"images": images, "hints": hints, "nextPageToken": nextPageToken}, nil
		}
		if err != nil {
			return nil, err
		}
		for _, image := range batch.Images {
			images = append(images, described(image))
		}
		for _, hint := range batch.Hints {
			hints = append(hints, runner.Answer{"field": hint.Field, "values": hint.Values})
		}
		nextPageToken = batch.NextPageToken
	}
}

func listTrash(ctx context.Context, stub pb.ImageStorageClient, command runner.Command) (runner.Answer, error) {
	stream, err := stub.ListTrash(ctx, &pb.ListTrashRequest{Query: command.Query})
	if err != nil {
		return nil, err
	}
	images := []runner.Answer{}
	for {
		batch, err := stream.Recv()
		if err == io.EOF {
			return runner.Answer{"images": images}, nil
		}
		if err != nil {
			return nil, err
		}
		for _, image := range batch.Images {
			images = append(images, described(image))
		}
	}
}

func listRequest(command runner.Command) *pb.ListRequest {
	request := &pb.ListRequest{
		DateRange: &pb.DateRange{Start: timestamp(command.StartMs), End: timestamp(command.EndMs)},
		Model:     command.Model,
		Category:  command.Category,
		Query:     command.Query,
		Tags:      command.Tags,
		Pinned:    command.Pinned,
		Limit:     uint32(command.Limit),
		PageToken: command.PageToken,
		BatchSize: command.BatchSize,
		Hints:     command.Hints,
	}
	if command.Order == "oldest" {
		request.Order = pb.Order_ORDER_OLDEST_FIRST
	}
	if command.View == "row" {
		request.View = pb.View_VIEW_ROW
	}
	return request
}

func cleanup(ctx context.Context, stub pb.ImageStorageClient, command runner.Command) (runner.Answer, error) {
	done, err := stub.Cleanup(ctx, &pb.CleanupRequest{
		OlderThan:    timestamp(command.OlderThanMs),
		OlderThanAge: duration(command.OlderThanAgeMs),
		KeepCount:    command.KeepCount,
		KeepBytes:    command.KeepBytes,
		Model:        command.Model,
		Category:     command.Category,
		DryRun:       command.DryRun,
		MaxDeletes:   command.MaxDeletes,
		Selection:    selected(command.Selection),
	})
	return runner.Answer{
		"deletedCount": done.GetDeletedCount(),
		"freedBytes":   done.GetFreedBytes(),
		"filenames":    done.GetFilenames(),
		"keptPinned":   done.GetKeptPinned(),
		"keptFuture":   done.GetKeptFuture(),
		"keptChanged":  done.GetKeptChanged(),
		"dryRun":       done.GetDryRun(),
		"more":         done.GetMore(),
		"plan":         hex.EncodeToString(done.GetPlan()),
	}, err
}

func selected(given *runner.Selection) *pb.Selection {
	if given == nil {
		return nil
	}
	return &pb.Selection{
		DateRange:    &pb.DateRange{Start: timestamp(given.StartMs), End: timestamp(given.EndMs)},
		Model:        given.Model,
		Category:     given.Category,
		Query:        given.Query,
		Tags:         given.Tags,
		Pinned:       given.Pinned,
		Only:         given.Only,
		Except:       given.Except,
		OlderThan:    timestamp(given.OlderThanMs),
		OlderThanAge: duration(given.OlderThanAgeMs),
		KeepCount:    given.KeepCount,
		KeepBytes:    given.KeepBytes,
		Plan:         given.PlanBytes(),
	}
}

func stats(ctx context.Context, stub pb.ImageStorageClient) (runner.Answer, error) {
	answer, err := stub.Stats(ctx, &pb.StatsRequest{Provider: "local"})
	if err != nil {
		return nil, err
	}
	local, models := answer.Providers[0], runner.Answer{}
	for _, group := range local.ByModel {
		models[group.Name] = runner.Answer{"count": group.Count, "bytes": group.Bytes}
	}
	return runner.Answer{"count": local.Count, "bytes": local.Bytes, "pinnedCount": local.PinnedCount, "byModel": models}, nil
}

func totals(ctx context.Context, stub pb.ImageStorageClient, command runner.Command) (runner.Answer, error) {
	counted, err := stub.Stats(ctx, &pb.StatsRequest{
		DateRange:  &pb.DateRange{Start: timestamp(command.StartMs), End: timestamp(command.EndMs)},
		Model:      command.Model,
		Category:   command.Category,
		Query:      command.Query,
		Tags:       command.Tags,
		Pinned:     command.Pinned,
		By:         pb.GroupBy(pb.GroupBy_value["GROUP_BY_"+strings.ToUpper(command.By)]),
		StartsWith: command.StartsWith,
		TimeZone:   command.TimeZone,
		Limit:      uint32(command.Limit),
	})
	if err != nil {
		return nil, err
	}
	groups := []runner.Answer{}
	for _, group := range counted.Groups {
		groups = append(groups, runner.Answer{"name": group.Name, "count": group.Count, "bytes": group.Bytes, "rest": group.Rest})
	}
	answer := runner.Answer{
		"count": counted.Total.GetCount(), "bytes": counted.Total.GetBytes(), "groups": groups, "more": counted.More,
	}
	if counted.Total.GetOldest() != nil {
		answer["oldestMs"] = counted.Total.Oldest.AsTime().UnixMilli()
		answer["newestMs"] = counted.Total.Newest.AsTime().UnixMilli()
	}
	return answer, nil
}

func described(image *pb.Image) runner.Answer {
	metadata := image.GetMetadata()
	return runner.Answer{
		"filename":       image.GetFilename(),
		"size":           image.GetSize(),
		"sha256":         hex.EncodeToString(image.GetSha256()),
		"contentType":    image.GetContentType(),
		"width":          image.GetWidth(),
		"height":         image.GetHeight(),
		"pinned":         image.GetPinned(),
		"prompt":         metadata.GetPrompt(),
		"model":          metadata.GetModel(),
		"category":       metadata.GetCategory(),
		"tags":           metadata.GetTags(),
		"parametersJson": metadata.GetParametersJson(),
		"timestampMs":    metadata.GetTimestamp().AsTime().UnixMilli(),
		"generation":     settings(image.GetGeneration()),
	}
}

func settings(generation *pb.Generation) runner.Answer {
	if generation == nil {
		return nil
	}
	return runner.Answer{
		"negativePrompt": generation.NegativePrompt,
		"seed":           generation.Seed,
		"steps":          generation.Steps,
		"cfg":            generation.Cfg,
		"sampler":        generation.Sampler,
		"scheduler":      generation.Scheduler,
		"loras":          generation.Loras,
		"width":          generation.Width,
		"height":         generation.Height,
	}
}

func timestamp(ms *int64) *timestamppb.Timestamp {
	if ms == nil {
		return nil
	}
	return timestamppb.New(time.UnixMilli(*ms))
}

func duration(ms *int64) *durationpb.Duration {
	if ms == nil {
		return nil
	}
	return durationpb.New(time.Duration(*ms) * time.Millisecond)
}

func refusalOf(err error) runner.Refusal {
	answer := status.Convert(err)
	refusal := runner.Refusal{Code: answer.Code(), Message: answer.Message()}
	for _, detail := range answer.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			refusal.Reason = detail.Reason
		case *errdetails.BadRequest:
			refusal.Field = detail.FieldViolations[0].Field
		}
	}
	return refusal
}
