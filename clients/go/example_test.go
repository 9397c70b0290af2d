// The snippet of the documentation, run against a daemon.

package imagestorage_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"

	imagestorage "github.com/imagestorage/imagestorage/clients/go"
)

// Stores an image, finds it and reads it back.
func Example() {
	ctx := context.Background()
	client, err := imagestorage.Dial("") // IMAGE_STORAGE_ADDRESS, else 127.0.0.1:50051
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	pixels := png(0)
	_, err = client.Save(ctx, bytes.NewReader(pixels), imagestorage.Metadata{
		Prompt:     "a red fox",
		Model:      "flux-schnell",
		Parameters: []byte(`{"seed": 18446744073709551615}`),
	})
	if err != nil {
		log.Fatal(err)
	}

	for image, err := range client.List(ctx, imagestorage.ListOptions{Query: `"red fox" model:flux`, Limit: 20}) {
		if err != nil {
			log.Fatal(err)
		}
		_, body, err := client.Get(ctx, image.Filename)
		if err != nil {
			log.Fatal(err)
		}
		read, err := io.ReadAll(body)
		body.Close()
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s: %v\n", image.Metadata.Prompt, bytes.Equal(read, pixels))
	}
	// Output: a red fox: true
}
