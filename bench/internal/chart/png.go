package chart

import (
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
)

// Save writes a plot as a PNG file that is small enough for a repository.
func Save(p *plot.Plot, width, height vg.Length, path string) error {
	canvas := vgimg.New(width, height)
	p.Draw(draw.New(canvas))
	return SaveImage(canvas.Image(), path)
}

// SaveImage writes an image as Save does. It leaves no file behind when it fails.
func SaveImage(img image.Image, path string) error {
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("bench: plot: %w", err)
	}
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	if err := errors.Join(encoder.Encode(file, reduce(img)), file.Close()); err != nil {
		return fmt.Errorf("bench: plot: %w", errors.Join(err, os.Remove(path)))
	}
	return nil
}

// reduce rounds colours to 16 levels of each channel and, if that leaves at most 256 of them, makes a palette: a third of
// the bytes, and nobody sees a difference.
func reduce(img image.Image) image.Image {
	bounds := img.Bounds()
	rounded := image.NewPaletted(bounds, nil)
	index := map[color.RGBA]uint8{}
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			c := Rounded(img.At(x, y))
			i, known := index[c]
			if !known {
				if len(index) == 256 {
					return img
				}
				i = uint8(len(index))
				index[c] = i
				rounded.Palette = append(rounded.Palette, c)
			}
			rounded.SetColorIndex(x, y, i)
		}
	}
	return rounded
}

// Rounded returns a colour as it is in the file of a plot.
func Rounded(c color.Color) color.RGBA {
	r, g, b, _ := c.RGBA()
	level := func(v uint32) uint8 { return uint8((v>>8+8)/17) * 17 }
	return color.RGBA{level(r), level(g), level(b), 255}
}
