// Stands for a model: a gradient, always the same for a seed.

package main

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
)

const maxSide = 4096

// draw gives a PNG.
func draw(job job) (io.Reader, error) {
	if job.Side < 1 || job.Side > maxSide {
		return nil, fmt.Errorf("side is 1 to %d pixels", maxSide)
	}
	pixels := image.NewNRGBA(image.Rect(0, 0, job.Side, job.Side))
	for y := range job.Side {
		for x := range job.Side {
			pixels.SetNRGBA(x, y, color.NRGBA{uint8(x), uint8(y), uint8(job.Seed), 0xff})
		}
	}
	var encoded bytes.Buffer
	if err := png.Encode(&encoded, pixels); err != nil {
		return nil, err
	}
	return &encoded, nil
}
