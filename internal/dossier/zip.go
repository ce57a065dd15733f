package dossier

import (
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"encoding"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"hash/crc32"
	"io"
	"math"
	"time"

	"github.com/avow-consent/avow/internal/errs"
)

// zipper writes a ZIP (APPNOTE.TXT 6.3, with ZIP64 where it is needed) that can
// be gone on with by another process. The standard library's writer keeps its
// directory to itself, so it cannot.
//
// Entries are deflated and their sizes follow them in a data descriptor. At a
// pause the compressor is flushed to a byte boundary and forgets what it has
// seen: whoever goes on writes valid blocks without knowing the ones before.
type zipper struct {
	out      io.Writer
	built    time.Time
	offset   int64 // bytes written so far
	entries  []entry
	open     bool      // the last entry is being written
	whole    hash.Hash // SHA-256 of the ZIP
	content  hash.Hash // SHA-256 of the open entry
	deflater *flate.Writer
	levels   map[int]*flate.Writer
}

// entry is one file of the ZIP.
type entry struct {
	Name   string `json:"n"`
	Bytes  int64  `json:"b"` // of the content
	Packed int64  `json:"p"` // in the ZIP
	Offset int64  `json:"o"`
	CRC    uint32 `json:"c"`
	SHA256 string `json:"s,omitempty"`
	Wide   bool   `json:"w,omitempty"` // sizes of 64 bits follow it
	Stored bool   `json:"t,omitempty"` // in blocks that are not compressed
}

// zipped is what another process needs to go on.
type zipped struct {
	Offset  int64   `json:"offset"`
	Entries []entry `json:"entries"`
	Open    bool    `json:"open,omitempty"`
	Whole   []byte  `json:"whole"` // state of the SHA-256 of the ZIP
	Content []byte  `json:"content,omitempty"`
}

const (
	flagDescriptor = 1 << 3
	flagUTF8       = 1 << 11
	methodDeflate  = 8
	version20      = 20
	version45      = 45
	wideFrom       = 4_000_000_000 // content from here on gets 64-bit sizes: what deflate may add stays below 4 GiB
)

func newZipper(out io.Writer, built time.Time) *zipper {
	return &zipper{out: out, built: built.UTC(), whole: sha256.New(), content: sha256.New(), levels: map[int]*flate.Writer{}}
}

// write puts bytes of the ZIP itself.
func (z *zipper) write(p []byte) error {
	_, err := z.out.Write(p)
	_, _ = z.whole.Write(p)
	z.offset += int64(len(p))
	return err
}

// packed receives what the compressor makes.
type packed struct{ z *zipper }

func (p packed) Write(b []byte) (int, error) {
	if err := p.z.write(b); err != nil {
		return 0, err
	}
	p.z.entries[len(p.z.entries)-1].Packed += int64(len(b))
	return len(b), nil
}

// begin starts a file of at most the given bytes. Its name was made by this
// package: no path that leaves the folder, no upper-case surprises.
func (z *zipper) begin(name string, most int64, stored bool) error {
	z.entries = append(z.entries, entry{Name: name, Offset: z.offset, Wide: most >= wideFrom, Stored: stored})
	z.open = true
	z.content.Reset()
	z.compressor()
	return z.write(z.header(z.entries[len(z.entries)-1]))
}

// compressor readies the one for the open entry.
func (z *zipper) compressor() {
	level := flate.BestSpeed
	if z.entries[len(z.entries)-1].Stored {
		level = flate.NoCompression
	}
	if z.deflater = z.levels[level]; z.deflater == nil {
		z.deflater, _ = flate.NewWriter(packed{z}, level) // the level is a valid one
		z.levels[level] = z.deflater
	}
	z.deflater.Reset(packed{z})
}

// Write adds to the open file.
func (z *zipper) Write(p []byte) (int, error) {
	e := &z.entries[len(z.entries)-1]
	e.CRC = crc32.Update(e.CRC, crc32.IEEETable, p)
	e.Bytes += int64(len(p))
	_, _ = z.content.Write(p)
	return z.deflater.Write(p)
}

// end completes the open file.
func (z *zipper) end() error {
	if err := z.deflater.Close(); err != nil {
		return err
	}
	e := &z.entries[len(z.entries)-1]
	e.SHA256 = hex.EncodeToString(z.content.Sum(nil))
	z.open = false
	if !e.Wide && (e.Bytes > math.MaxUint32 || e.Packed > math.MaxUint32) {
		return errs.New(errs.Internal, "a file of a package is larger than was foretold")
	}
	d := binary.LittleEndian.AppendUint32(nil, 0x08074b50)
	d = binary.LittleEndian.AppendUint32(d, e.CRC)
	return z.write(e.sizes(d))
}

// sizes appends packed and plain size as the entry's width wants them.
func (e entry) sizes(b []byte) []byte {
	if e.Wide {
		b = binary.LittleEndian.AppendUint64(b, uint64(e.Packed))
		return binary.LittleEndian.AppendUint64(b, uint64(e.Bytes))
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(e.Packed))
	return binary.LittleEndian.AppendUint32(b, uint32(e.Bytes))
}

func (e entry) version() uint16 {
	if e.Wide || e.Offset >= math.MaxUint32 {
		return version45
	}
	return version20
}

// dos is a time as ZIP has it: two seconds exact, no zone (here: UTC).
func dos(t time.Time) (clock, date uint16) {
	return uint16(t.Second()/2 + t.Minute()<<5 + t.Hour()<<11), uint16(t.Day() + int(t.Month())<<5 + max(0, t.Year()-1980)<<9)
}

// header is what stands before a file. Its sizes follow the content.
func (z *zipper) header(e entry) []byte {
	clock, date := dos(z.built)
	b := binary.LittleEndian.AppendUint32(nil, 0x04034b50)
	for _, v := range []uint16{e.version(), flagDescriptor | flagUTF8, methodDeflate, clock, date} {
		b = binary.LittleEndian.AppendUint16(b, v)
	}
	b = append(b, make([]byte, 4)...) // CRC
	var extra []byte
	if e.Wide {
		b = binary.LittleEndian.AppendUint32(b, math.MaxUint32)
		b = binary.LittleEndian.AppendUint32(b, math.MaxUint32)
		extra = wide(0, 0)
	} else {
		b = append(b, make([]byte, 8)...)
	}
	b = binary.LittleEndian.AppendUint16(b, uint16(len(e.Name)))
	b = binary.LittleEndian.AppendUint16(b, uint16(len(extra)))
	return append(append(b, e.Name...), extra...)
}

// wide is the ZIP64 extra field with the given values.
func wide(values ...uint64) []byte {
	b := binary.LittleEndian.AppendUint16(nil, 1)
	b = binary.LittleEndian.AppendUint16(b, uint16(8*len(values)))
	for _, v := range values {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	return b
}

// listing is what the directory says of a file.
func (z *zipper) listing(e entry) []byte {
	clock, date := dos(z.built)
	b := binary.LittleEndian.AppendUint32(nil, 0x02014b50)
	for _, v := range []uint16{e.version(), e.version(), flagDescriptor | flagUTF8, methodDeflate, clock, date} {
		b = binary.LittleEndian.AppendUint16(b, v)
	}
	b = binary.LittleEndian.AppendUint32(b, e.CRC)
	var values []uint64
	offset := uint32(min(e.Offset, math.MaxUint32))
	if e.Wide {
		b = binary.LittleEndian.AppendUint32(b, math.MaxUint32)
		b = binary.LittleEndian.AppendUint32(b, math.MaxUint32)
		values = append(values, uint64(e.Bytes), uint64(e.Packed))
	} else {
		b = e.sizes(b)
	}
	if e.Offset >= math.MaxUint32 {
		values = append(values, uint64(e.Offset))
	}
	var extra []byte
	if len(values) > 0 {
		extra = wide(values...)
	}
	b = binary.LittleEndian.AppendUint16(b, uint16(len(e.Name)))
	b = binary.LittleEndian.AppendUint16(b, uint16(len(extra)))
	b = append(b, make([]byte, 10)...) // no comment, one disk, attributes of its maker
	b = binary.LittleEndian.AppendUint32(b, offset)
	return append(append(b, e.Name...), extra...)
}

// close writes the directory. Nothing may follow.
func (z *zipper) close() error {
	start := z.offset
	for _, e := range z.entries {
		if err := z.write(z.listing(e)); err != nil {
			return err
		}
	}
	size, count := z.offset-start, len(z.entries)
	var b bytes.Buffer
	if count >= math.MaxUint16 || start >= math.MaxUint32 || size >= math.MaxUint32 {
		b.Write(wideEnd(uint64(count), uint64(size), uint64(start), uint64(z.offset)))
	}
	n, s, o := uint16(min(count, math.MaxUint16)), uint32(min(size, math.MaxUint32)), uint32(min(start, math.MaxUint32))
	_ = binary.Write(&b, binary.LittleEndian, struct {
		Signature              uint32
		Disk, First, Here, All uint16
		Size, Offset           uint32
		Comment                uint16
	}{0x06054b50, 0, 0, n, n, s, o, 0})
	return z.write(b.Bytes())
}

// wideEnd is the ZIP64 end of directory, at the given offset, and its locator.
func wideEnd(count, size, start, at uint64) []byte {
	var b bytes.Buffer
	_ = binary.Write(&b, binary.LittleEndian, struct {
		Signature               uint32
		Length                  uint64
		By, Needs               uint16
		Disk, First             uint32
		Here, All, Size, Offset uint64
		Locator, LocatorDisk    uint32
		LocatorOffset           uint64
		Disks                   uint32
	}{0x06064b50, 44, version45, version45, 0, 0, count, count, size, start, 0x07064b50, 0, at, 1})
	return b.Bytes()
}

// digest is the SHA-256 of the ZIP so far, hex.
func (z *zipper) digest() string { return hex.EncodeToString(z.whole.Sum(nil)) }

// pause brings everything out and returns what another process needs.
func (z *zipper) pause() (zipped, error) {
	if z.open {
		if err := z.deflater.Flush(); err != nil {
			return zipped{}, err
		}
		z.compressor()
	}
	s := zipped{Offset: z.offset, Entries: z.entries, Open: z.open}
	var err error
	if s.Whole, err = z.whole.(encoding.BinaryMarshaler).MarshalBinary(); err != nil {
		return s, errs.Wrap(errs.Internal, err, "saving a digest")
	}
	if z.open {
		if s.Content, err = z.content.(encoding.BinaryMarshaler).MarshalBinary(); err != nil {
			return s, errs.Wrap(errs.Internal, err, "saving a digest")
		}
	}
	return s, nil
}

// resume goes on where pause has left off.
func (z *zipper) resume(s zipped) error {
	z.offset, z.entries, z.open = s.Offset, s.Entries, s.Open
	if err := z.whole.(encoding.BinaryUnmarshaler).UnmarshalBinary(s.Whole); err != nil {
		return errs.Wrap(errs.Internal, err, "reading a saved digest")
	}
	if !z.open {
		return nil
	}
	if err := z.content.(encoding.BinaryUnmarshaler).UnmarshalBinary(s.Content); err != nil {
		return errs.Wrap(errs.Internal, err, "reading a saved digest")
	}
	z.compressor()
	return nil
}
