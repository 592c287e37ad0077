package report

import (
	"errors"
	"image"
	"image/color"
	"image/png"
	"os"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
)

// save writes a plot as a PNG file that is small enough for a repository.
func save(p *plot.Plot, width, height vg.Length, path string) error {
	canvas := vgimg.New(width, height)
	p.Draw(draw.New(canvas))
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	return errors.Join(encoder.Encode(file, reduce(canvas.Image())), file.Close())
}

// reduce rounds colours to 16 levels of each channel and, if that leaves at most 256 of them, makes a palette: a third of
// the bytes, and nobody sees a difference.
func reduce(img image.Image) image.Image {
	bounds := img.Bounds()
	rounded := image.NewPaletted(bounds, nil)
	index := map[color.RGBA]uint8{}
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			c := round(img.At(x, y))
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

func round(c color.Color) color.RGBA {
	r, g, b, _ := c.RGBA()
	level := func(v uint32) uint8 { return uint8((v>>8+8)/17) * 17 }
	return color.RGBA{level(r), level(g), level(b), 255}
}
