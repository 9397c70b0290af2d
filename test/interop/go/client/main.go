// Interop runner of the Go client.
package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"time"

	imagestorage "github.com/imagestorage/imagestorage/clients/go"
	"github.com/imagestorage/imagestorage/test/interop/go/runner"
)

func main() { runner.Run(connected, refusalOf) }

func connected(ctx context.Context, command runner.Command) (runner.Answer, error) {
	var options []imagestorage.DialOption
	if command.Retries != nil {
		options = append(options, imagestorage.WithRetries(*command.Retries))
	}
	if command.Token != "" {
		options = append(options, imagestorage.WithToken(command.Token))
	}
	client, err := imagestorage.Dial(command.Address, options...)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	return perform(ctx, client, command)
}

func perform(ctx context.Context, client *imagestorage.Client, command runner.Command) (runner.Answer, error) {
	switch command.Do {
	case "save":
		return save(ctx, client, command)
	case "get":
		return get(ctx, client, command)
	case "list":
		return list(ctx, client, command)
	case "update":
		changes := imagestorage.Changes{Pinned: command.Pinned, AddTags: command.AddTags, RemoveTags: command.RemoveTags}
		if command.Category != "" {
			changes.Category = &command.Category
		}
		image, err := client.Update(ctx, command.Filename, changes)
		if err != nil {
			return nil, err
		}
		return runner.Answer{"image": described(image)}, nil
	case "delete":
		options := []imagestorage.DeleteOption{}
		if command.Permanent {
			options = append(options, imagestorage.WithPermanent())
		}
		results, err := client.Delete(ctx, command.Filenames, options...)
		if err != nil {
			return nil, err
		}
		answers := []runner.Answer{}
		for _, each := range results {
			answers = append(answers, runner.Answer{"filename": each.Filename, "deleted": each.Deleted, "reason": each.Reason,
				"restorable": !each.RestorableUntil.IsZero()})
		}
		return runner.Answer{"results": answers}, nil
	case "restore":
		results, err := client.Restore(ctx, command.Filenames)
		if err != nil {
			return nil, err
		}
		answers := []runner.Answer{}
		for _, each := range results {
			answers = append(answers, runner.Answer{"filename": each.Filename, "restored": each.Restored, "reason": each.Reason})
		}
		return runner.Answer{"results": answers}, nil
	case "listTrash":
		images, err := collected(client.ListTrash(ctx, imagestorage.TrashOptions{Query: command.Query}))
		return runner.Answer{"images": images}, err
	case "purge":
		gone, err := client.Purge(ctx, command.Filenames)
		if err != nil {
			return nil, err
		}
		return runner.Answer{"count": gone.Count, "bytes": gone.Bytes}, nil
	case "cleanup":
		return cleanup(ctx, client, command)
	case "stats":
		return stats(ctx, client)
	case "totals":
		return totals(ctx, client, command)
	}
	return nil, fmt.Errorf("unknown: %s", command.Do)
}

func save(ctx context.Context, client *imagestorage.Client, command runner.Command) (runner.Answer, error) {
	file, err := os.Open(command.File)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	metadata := imagestorage.Metadata{
		Prompt:     command.Prompt,
		Model:      command.Model,
		Timestamp:  runner.Instant(command.TimestampMs),
		Category:   command.Category,
		Parameters: json.RawMessage(command.ParametersJSON),
		Tags:       command.Tags,
	}
	options := []imagestorage.SaveOption{
		imagestorage.WithIdempotencyKey(command.IdempotencyKey),
		imagestorage.WithContentType(command.ContentType),
		imagestorage.WithProvider(command.Provider),
	}
	if command.Pinned != nil && *command.Pinned {
		options = append(options, imagestorage.WithPinned())
	}
	if command.Embedded == "ignore" {
		options = append(options, imagestorage.WithEmbeddedIgnored())
	}
	if command.TTLMs != nil {
		options = append(options, imagestorage.WithTTL(time.Duration(*command.TTLMs)*time.Millisecond))
	}
	if command.UnlessDeleted {
		options = append(options, imagestorage.WithUnlessDeleted())
	}
	image, err := client.Save(ctx, file, metadata, options...)
	if err != nil {
		return nil, err
	}
	return runner.Answer{"image": described(image), "replayed": image.Replayed, "deleted": image.Deleted}, nil
}

func get(ctx context.Context, client *imagestorage.Client, command runner.Command) (runner.Answer, error) {
	_, body, err := client.Get(ctx, command.Filename, imagestorage.WithRange(command.Offset, command.Limit))
	if err != nil {
		return nil, err
	}
	defer body.Close()
	sum := sha256.New()
	size, err := io.Copy(sum, body)
	return runner.Answer{"size": size, "sha256": hex.EncodeToString(sum.Sum(nil))}, err
}

func list(ctx context.Context, client *imagestorage.Client, command runner.Command) (runner.Answer, error) {
	options := imagestorage.ListOptions{
		Since:       runner.Instant(command.StartMs),
		Until:       runner.Instant(command.EndMs),
		Model:       command.Model,
		Category:    command.Category,
		Query:       command.Query,
		Tags:        command.Tags,
		Pinned:      command.Pinned,
		OldestFirst: command.Order == "oldest",
		Rows:        command.View == "row",
		Limit:       uint32(command.Limit),
	}
	hints := []runner.Answer{}
	if command.Hints {
		options.OnHints = func(told []imagestorage.Hint) {
			for _, each := range told {
				hints = append(hints, runner.Answer{"field": each.Field, "values": each.Values})
			}
		}
	}
	images, err := collected(client.List(ctx, options))
	return runner.Answer{"images": images, "hints": hints}, err
}

func collected(images iter.Seq2[*imagestorage.Image, error]) ([]runner.Answer, error) {
	answers := []runner.Answer{}
	for image, err := range images {
		if err != nil {
			return nil, err
		}
		answers = append(answers, described(image))
	}
	return answers, nil
}

func cleanup(ctx context.Context, client *imagestorage.Client, command runner.Command) (runner.Answer, error) {
	options := imagestorage.CleanupOptions{
		OlderThan:  runner.Instant(command.OlderThanMs),
		KeepCount:  command.KeepCount,
		KeepBytes:  command.KeepBytes,
		Model:      command.Model,
		Category:   command.Category,
		DryRun:     command.DryRun,
		MaxDeletes: command.MaxDeletes,
	}
	if age := command.OlderThanAgeMs; age != nil {
		options.OlderThanAge = time.Duration(*age) * time.Millisecond
	}
	if selection := command.Selection; selection != nil {
		options.Selection = selected(selection)
	}
	done, err := client.Cleanup(ctx, options)
	if err != nil {
		return nil, err
	}
	return runner.Answer{
		"deletedCount": done.DeletedCount,
		"freedBytes":   done.FreedBytes,
		"filenames":    done.Filenames,
		"keptPinned":   done.KeptPinned,
		"keptFuture":   done.KeptFuture,
		"keptChanged":  done.KeptChanged,
		"dryRun":       done.DryRun,
		"more":         done.More,
		"plan":         hex.EncodeToString(done.Plan),
	}, nil
}

func selected(given *runner.Selection) *imagestorage.Selection {
	selection := &imagestorage.Selection{
		Since:     runner.Instant(given.StartMs),
		Until:     runner.Instant(given.EndMs),
		Model:     given.Model,
		Category:  given.Category,
		Query:     given.Query,
		Tags:      given.Tags,
		Pinned:    given.Pinned,
		Only:      given.Only,
		Except:    given.Except,
		OlderThan: runner.Instant(given.OlderThanMs),
		KeepCount: given.KeepCount,
		KeepBytes: given.KeepBytes,
		Plan:      given.PlanBytes(),
	}
	if age := given.OlderThanAgeMs; age != nil {
		selection.OlderThanAge = time.Duration(*age) * time.Millisecond
	}
	return selection
}

func stats(ctx context.Context, client *imagestorage.Client) (runner.Answer, error) {
	providers, err := client.Stats(ctx, "local")
	if err != nil {
		return nil, err
	}
	local, models := providers[0], runner.Answer{}
	for _, group := range local.ByModel {
		models[group.Name] = runner.Answer{"count": group.Count, "bytes": group.Bytes}
	}
	return runner.Answer{"count": local.Count, "bytes": local.Bytes, "pinnedCount": local.PinnedCount, "byModel": models}, nil
}

var groups = map[string]imagestorage.GroupBy{
	"day":      imagestorage.ByDay,
	"month":    imagestorage.ByMonth,
	"model":    imagestorage.ByModel,
	"category": imagestorage.ByCategory,
	"tag":      imagestorage.ByTag,
	"lora":     imagestorage.ByLoRA,
}

func totals(ctx context.Context, client *imagestorage.Client, command runner.Command) (runner.Answer, error) {
	counted, err := client.Totals(ctx, imagestorage.TotalsOptions{
		Since:      runner.Instant(command.StartMs),
		Until:      runner.Instant(command.EndMs),
		Model:      command.Model,
		Category:   command.Category,
		Query:      command.Query,
		Tags:       command.Tags,
		Pinned:     command.Pinned,
		By:         groups[command.By],
		StartsWith: command.StartsWith,
		TimeZone:   command.TimeZone,
		Limit:      uint32(command.Limit),
	})
	if err != nil {
		return nil, err
	}
	listed := []runner.Answer{}
	for _, group := range counted.Groups {
		listed = append(listed, runner.Answer{"name": group.Name, "count": group.Count, "bytes": group.Bytes, "rest": group.Rest})
	}
	answer := runner.Answer{"count": counted.Count, "bytes": counted.Bytes, "groups": listed, "more": counted.More}
	if counted.Count > 0 {
		answer["oldestMs"], answer["newestMs"] = counted.Oldest.UnixMilli(), counted.Newest.UnixMilli()
	}
	return answer, nil
}

func described(image *imagestorage.Image) runner.Answer {
	return runner.Answer{
		"filename":       image.Filename,
		"size":           image.Size,
		"sha256":         hex.EncodeToString(image.SHA256[:]),
		"contentType":    image.ContentType,
		"width":          image.Width,
		"height":         image.Height,
		"pinned":         image.Pinned,
		"prompt":         image.Metadata.Prompt,
		"model":          image.Metadata.Model,
		"category":       image.Metadata.Category,
		"tags":           image.Metadata.Tags,
		"parametersJson": string(image.Metadata.Parameters),
		"timestampMs":    image.Metadata.Timestamp.UnixMilli(),
		"generation":     settings(image.Generation),
	}
}

func settings(generation *imagestorage.Generation) runner.Answer {
	if generation == nil {
		return nil
	}
	return runner.Answer{
		"negativePrompt": generation.NegativePrompt,
		"seed":           generation.Seed,
		"steps":          generation.Steps,
		"cfg":            generation.CFG,
		"sampler":        generation.Sampler,
		"scheduler":      generation.Scheduler,
		"loras":          generation.LoRAs,
		"width":          generation.Width,
		"height":         generation.Height,
	}
}

func refusalOf(err error) runner.Refusal {
	failed, ok := errors.AsType[*imagestorage.Error](err)
	if !ok {
		panic(err)
	}
	return runner.Refusal{Code: failed.Code, Reason: failed.Reason, Field: failed.Field, Message: failed.Message}
}
