// peerbench stores and reads back the same images in several stores, and prints one line of JSON per run.
package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	bs "google.golang.org/genproto/googleapis/bytestream"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	is "github.com/imagestorage/imagestorage/clients/go/imagestoragev1"
)

var (
	target = flag.String("target", "bytestream", "is|http|bytestream|s3|tus|file")
	op     = flag.String("op", "save", "save|get|range (save first, unmeasured; range reads all but the first byte)")
	addr   = flag.String("addr", "127.0.0.1:9092", "")
	size   = flag.Int("size", 8<<20, "")
	n      = flag.Int("n", 64, "")
	c      = flag.Int("c", 4, "")
	conns  = flag.Int("conns", 1, "grpc connections")
	chunk  = flag.Int("chunk", 256<<10, "")
	reps   = flag.Int("reps", 1, "reads of every image")
	step   = flag.Bool("step", false, "before what is measured, print a line and wait for one")
)

type img struct {
	data []byte
	sum  string
	name string
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, *target, *op, err)
		os.Exit(1)
	}
}

func chunkOf(kind string, data []byte) []byte {
	b := make([]byte, 0, len(data)+12)
	b = binary.BigEndian.AppendUint32(b, uint32(len(data)))
	b = append(append(b, kind...), data...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[4:]))
}

// png is a valid PNG of noise of about size bytes: 8-bit grey, stored deflate blocks.
func png(size int, seed uint64) []byte {
	w := int(math.Sqrt(float64(size)))
	if w < 8 {
		w = 8
	}
	h := size / (w + 1)
	raw := make([]byte, h*(w+1))
	rand.Read(raw)
	binary.LittleEndian.PutUint64(raw[1:], seed)
	for y := 0; y < h; y++ {
		raw[y*(w+1)] = 0
	}
	z := []byte{0x78, 0x01}
	a, b := uint32(1), uint32(0)
	for _, x := range raw {
		a = (a + uint32(x)) % 65521
		b = (b + a) % 65521
	}
	for o := 0; o < len(raw); o += 65535 {
		e := min(o+65535, len(raw))
		last := byte(0)
		if e == len(raw) {
			last = 1
		}
		z = append(z, last, byte(e-o), byte((e-o)>>8), ^byte(e-o), ^byte((e-o)>>8))
		z = append(z, raw[o:e]...)
	}
	z = binary.BigEndian.AppendUint32(z, b<<16|a)
	ihdr := make([]byte, 13)
	binary.BigEndian.PutUint32(ihdr, uint32(w))
	binary.BigEndian.PutUint32(ihdr[4:], uint32(h))
	ihdr[8] = 8
	out := append([]byte("\x89PNG\r\n\x1a\n"), chunkOf("IHDR", ihdr)...)
	out = append(out, chunkOf("IDAT", z)...)
	return append(out, chunkOf("IEND", nil)...)
}

func main() {
	flag.Parse()
	imgs := make([]img, *n)
	base := png(*size, 0)
	idat := 8 + 25 // signature and IHDR
	for i := range imgs {
		d := append([]byte(nil), base...)
		// Change pixels behind the zlib header, then the checksum of the chunk; adler stays wrong, which no store looks at.
		binary.LittleEndian.PutUint64(d[idat+8+2+5+1:], uint64(time.Now().UnixNano()))
		binary.LittleEndian.PutUint64(d[idat+8+2+5+9:], uint64(i))
		l := int(binary.BigEndian.Uint32(d[idat:]))
		binary.BigEndian.PutUint32(d[idat+8+l:], crc32.ChecksumIEEE(d[idat+4:idat+8+l]))
		s := sha256.Sum256(d)
		imgs[i] = img{data: d, sum: hex.EncodeToString(s[:])}
	}
	real := len(base)
	ctx := context.Background()
	var save, get func(w, i int) error
	check := func(i int, total int) error {
		if total != len(imgs[i].data) {
			return fmt.Errorf("read %d of %d", total, len(imgs[i].data))
		}
		return nil
	}
	switch *target {
	case "is", "bytestream":
		cc := make([]*grpc.ClientConn, *conns)
		for i := range cc {
			var err error
			cc[i], err = grpc.NewClient(*addr, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithWriteBufferSize(1<<20))
			must(err)
		}
		if *target == "is" {
			save = func(w, i int) error {
				d := imgs[i].data
				st, err := is.NewImageStorageClient(cc[w%*conns]).Save(ctx)
				if err != nil {
					return err
				}
				sum, _ := hex.DecodeString(imgs[i].sum)
				size := uint64(len(d))
				if err := st.Send(&is.SaveRequest{Payload: &is.SaveRequest_Header{Header: &is.SaveHeader{Metadata: &is.ImageMetadata{Prompt: "a red fox in the snow " + strconv.Itoa(i), Model: "flux-schnell"}, Size: &size, Sha256: sum}}}); err != nil {
					return err
				}
				for o := 0; o < len(d); o += *chunk {
					e := min(o+*chunk, len(d))
					if err := st.Send(&is.SaveRequest{Payload: &is.SaveRequest_Chunk{Chunk: d[o:e]}}); err != nil {
						break
					}
				}
				r, err := st.CloseAndRecv()
				if err != nil {
					return err
				}
				imgs[i].name = r.Image.Filename
				return check(i, int(r.Image.Size))
			}
			get = func(w, i int) error {
				st, err := is.NewImageStorageClient(cc[w%*conns]).Get(ctx, &is.GetRequest{Filename: imgs[i].name})
				if err != nil {
					return err
				}
				total := 0
				for {
					m, err := st.Recv()
					if err == io.EOF {
						return check(i, total)
					}
					if err != nil {
						return err
					}
					total += len(m.GetChunk())
				}
			}
		} else {
			save = func(w, i int) error {
				d := imgs[i].data
				st, err := bs.NewByteStreamClient(cc[w%*conns]).Write(ctx)
				if err != nil {
					return err
				}
				var u [16]byte
				rand.Read(u[:])
				uu := fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
				name := "uploads/" + uu + "/blobs/" + imgs[i].sum + "/" + strconv.Itoa(len(d))
				for o := 0; o < len(d); o += *chunk {
					e := min(o+*chunk, len(d))
					if err := st.Send(&bs.WriteRequest{ResourceName: name, WriteOffset: int64(o), Data: d[o:e], FinishWrite: e == len(d)}); err != nil {
						break
					}
				}
				r, err := st.CloseAndRecv()
				if err != nil {
					return err
				}
				return check(i, int(r.CommittedSize))
			}
			get = func(w, i int) error {
				st, err := bs.NewByteStreamClient(cc[w%*conns]).Read(ctx, &bs.ReadRequest{ResourceName: "blobs/" + imgs[i].sum + "/" + strconv.Itoa(len(imgs[i].data))})
				if err != nil {
					return err
				}
				total := 0
				for {
					m, err := st.Recv()
					if err == io.EOF {
						return check(i, total)
					}
					if err != nil {
						return err
					}
					total += len(m.Data)
				}
			}
		}
	case "s3":
		mc, err := minio.New(*addr, &minio.Options{Creds: credentials.NewStaticV4("user", "password1", ""), Secure: false, Region: "us-east-1"})
		must(err)
		mc.MakeBucket(ctx, "bench", minio.MakeBucketOptions{Region: "us-east-1"})
		pre := strconv.FormatInt(time.Now().UnixNano(), 36)
		key := func(i int) string { return pre + "/" + strconv.Itoa(i) + ".png" }
		save = func(w, i int) error {
			_, err := mc.PutObject(ctx, "bench", key(i), bytes.NewReader(imgs[i].data), int64(len(imgs[i].data)), minio.PutObjectOptions{DisableMultipart: true, DisableContentSha256: true, ContentType: "image/png"})
			return err
		}
		get = func(w, i int) error {
			o, err := mc.GetObject(ctx, "bench", key(i), minio.GetObjectOptions{})
			if err != nil {
				return err
			}
			defer o.Close()
			t, err := io.Copy(io.Discard, o)
			if err != nil {
				return err
			}
			return check(i, int(t))
		}
	case "http":
		hc := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 128}}
		save = func(w, i int) error {
			d := imgs[i].data
			field := func(name, value string) string {
				return "--b\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n"
			}
			head := field("prompt", "a red fox in the snow "+strconv.Itoa(i)) + field("model", "flux-schnell") + field("sha256", imgs[i].sum) +
				"--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.png\"\r\n\r\n"
			tail := "\r\n--b--\r\n"
			rq, _ := http.NewRequest("POST", "http://"+*addr+"/images", io.MultiReader(strings.NewReader(head), bytes.NewReader(d), strings.NewReader(tail)))
			rq.ContentLength = int64(len(head) + len(d) + len(tail))
			rq.Header.Set("Content-Type", "multipart/form-data; boundary=b")
			r, err := hc.Do(rq)
			if err != nil {
				return err
			}
			defer r.Body.Close()
			var answer struct{ Image struct{ Url, Size string } }
			if err := json.NewDecoder(r.Body).Decode(&answer); err != nil {
				return err
			}
			if r.StatusCode != 201 {
				return fmt.Errorf("status %d", r.StatusCode)
			}
			imgs[i].name = "http://" + *addr + answer.Image.Url
			saved, _ := strconv.Atoi(answer.Image.Size)
			return check(i, saved)
		}
		get = func(w, i int) error {
			rq, _ := http.NewRequest("GET", imgs[i].name, nil)
			want := http.StatusOK
			if *op == "range" {
				rq.Header.Set("Range", "bytes=1-")
				want = http.StatusPartialContent
			}
			r, err := hc.Do(rq)
			if err != nil {
				return err
			}
			t, err := io.Copy(io.Discard, r.Body)
			r.Body.Close()
			if err != nil {
				return err
			}
			if r.StatusCode != want {
				return fmt.Errorf("status %d", r.StatusCode)
			}
			if *op == "range" {
				t++
			}
			return check(i, int(t))
		}
	case "tus":
		hc := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 128}}
		save = func(w, i int) error {
			d := imgs[i].data
			rq, _ := http.NewRequest("POST", "http://"+*addr+"/files/", bytes.NewReader(d))
			rq.Header.Set("Tus-Resumable", "1.0.0")
			rq.Header.Set("Upload-Length", strconv.Itoa(len(d)))
			rq.Header.Set("Content-Type", "application/offset+octet-stream")
			r, err := hc.Do(rq)
			if err != nil {
				return err
			}
			io.Copy(io.Discard, r.Body)
			r.Body.Close()
			if r.StatusCode != 201 {
				return fmt.Errorf("status %d", r.StatusCode)
			}
			imgs[i].name = r.Header.Get("Location")
			o, _ := strconv.Atoi(r.Header.Get("Upload-Offset"))
			return check(i, o)
		}
		get = func(w, i int) error {
			r, err := hc.Get(imgs[i].name)
			if err != nil {
				return err
			}
			t, err := io.Copy(io.Discard, r.Body)
			r.Body.Close()
			if err != nil {
				return err
			}
			return check(i, int(t))
		}
	case "file": // the floor: write, sha256, fsync, rename, fsync dir in this process
		os.MkdirAll(*addr, 0o755)
		dir, _ := os.Open(*addr)
		save = func(w, i int) error {
			p := *addr + "/" + strconv.Itoa(i)
			f, err := os.Create(p + ".tmp")
			if err != nil {
				return err
			}
			h := sha256.New()
			d := imgs[i].data
			for o := 0; o < len(d); o += *chunk {
				e := min(o+*chunk, len(d))
				h.Write(d[o:e])
				f.Write(d[o:e])
			}
			f.Sync()
			f.Close()
			os.Rename(p+".tmp", p)
			return dir.Sync()
		}
		get = func(w, i int) error {
			b, err := os.ReadFile(filepath.Join(*addr, strconv.Itoa(i)))
			if err != nil {
				return err
			}
			return check(i, len(b))
		}
	}
	must(save(0, 0)) // warm
	work := save
	if *op != "save" {
		run(save)
		work = get
		must(get(0, 0))
		for r := 1; r < *reps; r++ {
			run(work)
		}
	}
	if *step {
		fmt.Println("ready")
		bufio.NewReader(os.Stdin).ReadString('\n')
	}
	lat, el := run(work)
	l := lat[1:]
	sort.Float64s(l)
	json.NewEncoder(os.Stdout).Encode(map[string]any{"target": *target, "op": *op, "size": *size, "c": *c, "MBs": round(float64(real) * float64(*n-1) / el / 1e6), "perS": round(float64(*n-1) / el), "p50": l[len(l)/2], "p99": l[len(l)*99/100]})
}

func round(f float64) float64 { return math.Round(f*10) / 10 }

func run(work func(w, i int) error) ([]float64, float64) {
	lat := make([]float64, *n)
	var next atomic.Int64
	var wg sync.WaitGroup
	t0 := time.Now()
	for w := 0; w < *c; w++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for {
				i := int(next.Add(1))
				if i >= *n {
					return
				}
				t := time.Now()
				must(work(w, i))
				lat[i] = float64(time.Since(t).Microseconds()) / 1000
			}
		}()
	}
	wg.Wait()
	return lat, time.Since(t0).Seconds()
}
