// Converts messages of the contract to the client's structs, and options to requests.

package imagestorage

import (
	"encoding/json"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/imagestorage/imagestorage/clients/go/imagestoragev1"
)

func imageFrom(message *pb.Image) *Image {
	image := &Image{
		URL:         message.GetUrl(),
		Filename:    message.GetFilename(),
		Path:        message.GetPath(),
		Key:         message.GetKey(),
		Size:        message.GetSize(),
		StorageType: message.GetStorageType(),
		Provider:    message.GetProvider(),
		Metadata:    metadataFrom(message.GetMetadata()),
		ContentType: message.GetContentType(),
		Width:       int(message.GetWidth()),
		Height:      int(message.GetHeight()),
		CreateTime:  timeFrom(message.GetCreateTime()),
		Pinned:      message.GetPinned(),
		Generation:  generationFrom(message.GetGeneration()),
		ThumbHash:   message.GetThumbHash(),
		ExpireTime:  timeFrom(message.GetExpireTime()),
		DeleteTime:  timeFrom(message.GetDeleteTime()),
		PurgeTime:   timeFrom(message.GetPurgeTime()),
	}
	copy(image.SHA256[:], message.GetSha256())
	return image
}

func generationFrom(message *pb.Generation) *Generation {
	if message == nil {
		return nil
	}
	return &Generation{
		NegativePrompt: message.NegativePrompt,
		Seed:           message.Seed,
		Steps:          message.Steps,
		CFG:            message.Cfg,
		Sampler:        message.Sampler,
		Scheduler:      message.Scheduler,
		LoRAs:          message.Loras,
		Width:          int(message.Width),
		Height:         int(message.Height),
	}
}

// imageFrom converts an image of this client's daemon.
func (c *Client) imageFrom(message *pb.Image) *Image {
	image := imageFrom(message)
	image.Link = c.settings.link(image.URL)
	return image
}

func (c *Client) savedImageFrom(answer *pb.SaveResponse) *Image {
	image := c.imageFrom(answer.Image)
	image.Replayed, image.Deleted = answer.Replayed, answer.Deleted
	return image
}

func metadataFrom(message *pb.ImageMetadata) Metadata {
	metadata := Metadata{
		Prompt:    message.GetPrompt(),
		Model:     message.GetModel(),
		Timestamp: timeFrom(message.GetTimestamp()),
		Category:  message.GetCategory(),
		Tags:      message.GetTags(),
	}
	// An empty RawMessage, unlike a nil one, cannot be marshalled.
	if parameters := message.GetParametersJson(); parameters != "" {
		metadata.Parameters = json.RawMessage(parameters)
	}
	return metadata
}

func metadataMessage(metadata Metadata) *pb.ImageMetadata {
	return &pb.ImageMetadata{
		Prompt:         metadata.Prompt,
		Model:          metadata.Model,
		Timestamp:      timestampOf(metadata.Timestamp),
		Category:       metadata.Category,
		ParametersJson: string(metadata.Parameters),
		Tags:           metadata.Tags,
	}
}

func listRequest(options ListOptions, pageToken string) *pb.ListRequest {
	order := pb.Order_ORDER_NEWEST_FIRST
	if options.OldestFirst {
		order = pb.Order_ORDER_OLDEST_FIRST
	}
	view := pb.View_VIEW_UNSPECIFIED
	if options.Rows {
		view = pb.View_VIEW_ROW
	}
	return &pb.ListRequest{
		Provider:  options.Provider,
		DateRange: &pb.DateRange{Start: timestampOf(options.Since), End: timestampOf(options.Until)},
		Model:     options.Model,
		Category:  options.Category,
		Query:     options.Query,
		Tags:      options.Tags,
		Pinned:    options.Pinned,
		Order:     order,
		View:      view,
		Limit:     options.Limit,
		PageToken: pageToken,
		Hints:     options.OnHints != nil,
	}
}

func hintFrom(message *pb.Hint) Hint {
	return Hint{message.Field, message.Values}
}

func totalsRequest(options TotalsOptions) *pb.StatsRequest {
	return &pb.StatsRequest{
		Provider:   options.Provider,
		DateRange:  &pb.DateRange{Start: timestampOf(options.Since), End: timestampOf(options.Until)},
		Model:      options.Model,
		Category:   options.Category,
		Query:      options.Query,
		Tags:       options.Tags,
		Pinned:     options.Pinned,
		By:         pb.GroupBy(options.By),
		StartsWith: options.StartsWith,
		TimeZone:   options.TimeZone,
		Limit:      options.Limit,
	}
}

func totalsFrom(message *pb.StatsResponse) *Totals {
	return &Totals{
		Count:  message.Total.Count,
		Bytes:  message.Total.Bytes,
		Oldest: timeFrom(message.Total.Oldest),
		Newest: timeFrom(message.Total.Newest),
		Groups: mapped(message.Groups, groupFrom),
		More:   message.More,
	}
}

func deleteResultFrom(message *pb.DeleteResult) DeleteResult {
	return DeleteResult{message.Filename, message.Deleted, message.Reason, timeFrom(message.RestorableUntil)}
}

func cleanupRequest(options CleanupOptions) *pb.CleanupRequest {
	request := &pb.CleanupRequest{
		Provider:   options.Provider,
		OlderThan:  timestampOf(options.OlderThan),
		KeepCount:  options.KeepCount,
		KeepBytes:  options.KeepBytes,
		Model:      options.Model,
		Category:   options.Category,
		DryRun:     options.DryRun,
		MaxDeletes: options.MaxDeletes,
		Permanent:  options.Permanent,
		Policy:     options.Policy,
	}
	if options.Selection != nil {
		request.Selection = selectionMessage(*options.Selection)
	}
	if age := options.OlderThanAge; age != 0 {
		// The date goes with it: an older daemon ignores the age, and with it the protection.
		request.OlderThan = timestamppb.New(time.Now().Add(-age))
		request.OlderThanAge = durationpb.New(age)
	}
	return request
}

func selectionMessage(selection Selection) *pb.Selection {
	message := &pb.Selection{
		Model:     selection.Model,
		Category:  selection.Category,
		Query:     selection.Query,
		Tags:      selection.Tags,
		Pinned:    selection.Pinned,
		Only:      selection.Only,
		Except:    selection.Except,
		OlderThan: timestampOf(selection.OlderThan),
		KeepCount: selection.KeepCount,
		KeepBytes: selection.KeepBytes,
		Plan:      selection.Plan,
	}
	if since, until := timestampOf(selection.Since), timestampOf(selection.Until); since != nil || until != nil {
		message.DateRange = &pb.DateRange{Start: since, End: until}
	}
	if age := selection.OlderThanAge; age != 0 {
		message.OlderThanAge = durationpb.New(age)
	}
	return message
}

// selectsAny returns whether the selection has what a Cleanup requires.
func selectsAny(selection *pb.Selection) bool {
	filled := selection.Model+selection.Category+selection.Query != "" ||
		len(selection.Tags)+len(selection.Only)+len(selection.Plan) > 0
	bounded := selection.DateRange != nil || selection.OlderThan != nil || selection.OlderThanAge != nil
	return filled || bounded || selection.Pinned != nil || selection.KeepCount != nil || selection.KeepBytes != nil
}

func cleanupFrom(message *pb.CleanupResponse) *CleanupResult {
	return &CleanupResult{
		DeletedCount: message.DeletedCount,
		FreedBytes:   message.FreedBytes,
		Filenames:    message.Filenames,
		KeptPinned:   message.KeptPinned,
		KeptFuture:   message.KeptFuture,
		DryRun:       message.DryRun,
		More:         message.More,
		KeptChanged:  message.KeptChanged,
		Plan:         message.Plan,
		Reasons:      mapped(message.Reasons, reasonFrom),

		RestorableUntil: timeFrom(message.RestorableUntil),
	}
}

func reasonFrom(message *pb.Reason) CleanupReason {
	return CleanupReason{message.Text, message.Count, message.Bytes}
}

func statsFrom(message *pb.ProviderStats) ProviderStats {
	return ProviderStats{
		Provider:      message.Provider,
		StorageType:   message.StorageType,
		Count:         message.Count,
		Bytes:         message.Bytes,
		PinnedCount:   message.PinnedCount,
		Oldest:        timeFrom(message.Oldest),
		Newest:        timeFrom(message.Newest),
		ByModel:       mapped(message.ByModel, groupFrom),
		ByCategory:    mapped(message.ByCategory, groupFrom),
		ByDate:        mapped(message.ByDate, groupFrom),
		CapacityBytes: message.CapacityBytes,
		FreeBytes:     message.FreeBytes,
		TrashCount:    message.TrashCount,
		TrashBytes:    message.TrashBytes,
		Policies:      mapped(message.Policies, policyFrom),
	}
}

func policyFrom(message *pb.PolicyStats) PolicyStats {
	return PolicyStats{
		Name:      message.Name,
		LastRun:   timeFrom(message.LastRun),
		NextRun:   timeFrom(message.NextRun),
		Announced: message.Announced,
		LastCount: message.LastCount,
		LastBytes: message.LastBytes,
	}
}

func groupFrom(message *pb.GroupStats) GroupStats {
	return GroupStats{message.Name, message.Count, message.Bytes, message.Rest}
}

func timestampOf(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

func timeFrom(message *timestamppb.Timestamp) time.Time {
	if message == nil {
		return time.Time{}
	}
	return message.AsTime()
}

func mapped[From, To any](items []From, convert func(From) To) []To {
	converted := make([]To, len(items))
	for i, item := range items {
		converted[i] = convert(item)
	}
	return converted
}
