// The command: draws an image for each job on stdin and stores it. Two signals: the first lets the images under way be
// stored, the second ends at once.
package main

import (
	"context"
	"flag"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	imagestorage "github.com/imagestorage/imagestorage/clients/go"
)

func main() {
	address := flag.String("address", "", "of the daemon; default: IMAGE_STORAGE_ADDRESS, else 127.0.0.1:50051")
	parallel := flag.Int("parallel", 4, "how many jobs are worked on at once")
	timeout := flag.Duration("timeout", time.Minute, "for storing one image, with all attempts")
	flag.Parse()
	if *parallel < 1 {
		log.Fatal("-parallel is at least 1")
	}

	client, err := imagestorage.Dial(*address)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	worker := &worker{client, *timeout}
	if err := worker.run(ctx, *parallel, os.Stdin, os.Stdout); err != nil {
		log.Fatal(err)
	}
}
