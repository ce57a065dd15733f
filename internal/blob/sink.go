package blob

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"hash"
	"io"

	"github.com/avow-consent/avow/internal/dossier"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/request"
)

// pieceBytes is how much of an object a sink holds in memory: the least that S3
// takes as a piece. It bounds an object to 10,000 pieces, 52 GB.
const pieceBytes = 5 << 20

// Sink returns where a step of an export writes: step chunk (from 0) of a
// system. It holds up to 10 MB in memory, whatever is written.
func (s *Packages) Sink(ctx context.Context, id, system string, chunk int) (request.Part, error) {
	if id == "" || system == "" || chunk < 0 {
		return nil, errs.New(errs.Internal, "a part of an export needs a request, a system and a number")
	}
	folder := partFolder(id, system, chunk)
	return s.sink(ctx, system, indexKey(folder), folder+"/"+s.nonce()), nil
}

// UploadSink returns where what a person has found by hand is written. Its name is
// the digest of what is in it: the same name with other contents is a mistake.
func (s *Packages) UploadSink(ctx context.Context, id, system, name string) (request.Part, error) {
	if id == "" || system == "" || name == "" {
		return nil, errs.New(errs.Internal, "an upload needs a request, a system and a name")
	}
	folder := uploadFolder(id, system, name)
	return s.sink(ctx, system, indexKey(folder), folder), nil
}

func (s *Packages) sink(ctx context.Context, system, index, folder string) *sink {
	k := &sink{packages: s, ctx: ctx, system: system, index: index, folder: folder}
	k.records = s.writer(ctx, recordsKey(folder), "application/x-ndjson")
	k.part.Counts = map[string]int{}
	return k
}

// sink implements request.Part.
type sink struct {
	packages *Packages
	ctx      context.Context // of the step: connector.Sink.Record has none
	system   string
	index    string // key of the part's index
	folder   string // of its objects
	records  *writer
	line     bytes.Buffer
	part     dossier.Part
	failed   error // the first failure: what follows it would not be whole
}

// Record implements connector.Sink. A value that masks itself is written masked:
// the connector reveals what the person is to see.
func (k *sink) Record(kind string, v any) error {
	if k.failed != nil {
		return k.failed
	}
	if !dossier.ValidKind(kind) {
		return k.fail(errs.New(errs.Internal, "%s exports a record of an unnamed or badly named kind", k.system))
	}
	k.line.Reset()
	enc := json.NewEncoder(&k.line)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(dossier.Record{Kind: kind, Value: v}); err != nil {
		return k.fail(errs.Wrap(errs.Internal, err, "%s exports a record that is not JSON", k.system))
	}
	if k.line.Len() > dossier.MaxRecord {
		return k.fail(errs.New(errs.TooLarge, "%s exports a record of more than %d bytes", k.system, dossier.MaxRecord))
	}
	if _, err := k.records.Write(k.line.Bytes()); err != nil {
		return k.fail(err)
	}
	k.part.Counts[kind]++
	return nil
}

// File implements connector.Sink.
func (k *sink) File(ctx context.Context, name, mediaType string, r io.Reader) error {
	if k.failed != nil {
		return k.failed
	}
	w := k.packages.writer(ctx, fileKey(k.folder, len(k.part.Files)+1), "application/octet-stream")
	if _, err := io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{r}, make([]byte, 64<<10)); err != nil {
		return k.fail(reading(err))
	}
	object, err := w.close()
	if err != nil {
		return k.fail(err)
	}
	k.part.Files = append(k.part.Files, dossier.File{Object: object, Name: name, Type: mediaType})
	return nil
}

// Close implements request.Part.
func (k *sink) Close(ctx context.Context) error {
	if k.failed != nil {
		return k.failed
	}
	object, err := k.records.close()
	if err != nil {
		return k.fail(err)
	}
	k.part.Records = object
	body, err := json.Marshal(k.part)
	if err != nil {
		return k.fail(errs.Wrap(errs.Internal, err, "encoding the index of a part"))
	}
	if err := k.packages.put(ctx, k.index, body); err != nil {
		return err // may be repeated: the objects are there
	}
	k.failed = errs.New(errs.Internal, "the part is closed")
	return nil
}

func (k *sink) fail(err error) error {
	k.failed = err
	return err
}

// reading gives a failure of a vendor's stream, which is not ours to explain, a
// kind: what broke off may come whole the next time.
func reading(err error) error {
	if known := (*errs.Error)(nil); errors.As(err, &known) {
		return err
	}
	return errs.Wrap(errs.Unavailable, err, "copying a file: it broke off")
}

// writer streams one new object: small ones in one put, others by pieces.
type writer struct {
	packages       *Packages
	ctx            context.Context
	key, mediaType string
	upload         string
	tags           []string
	buffer         []byte
	sum            hash.Hash
	size           int64
	done           *dossier.Object
}

func (s *Packages) writer(ctx context.Context, key, mediaType string) *writer {
	return &writer{packages: s, ctx: ctx, key: key, mediaType: mediaType, sum: sha256.New()}
}

// Write implements io.Writer.
func (w *writer) Write(p []byte) (int, error) {
	n := len(p)
	_, _ = w.sum.Write(p)
	w.size += int64(n)
	for len(p) > 0 {
		if w.buffer == nil {
			w.buffer = make([]byte, 0, min(pieceBytes, max(64<<10, len(p))))
		}
		take := min(len(p), pieceBytes-len(w.buffer))
		w.buffer, p = append(w.buffer, p[:take]...), p[take:]
		if len(w.buffer) == pieceBytes {
			if err := w.flush(); err != nil {
				return 0, err
			}
		}
	}
	return n, nil
}

func (w *writer) flush() error {
	s := w.packages
	if w.upload == "" {
		upload, err := begin(w.ctx, s.client, s.bucket, w.key, w.mediaType)
		if err != nil {
			return err
		}
		w.upload = upload
	}
	tag, err := uploadPiece(w.ctx, s.client, s.bucket, w.key, w.upload, len(w.tags)+1, w.buffer)
	if err != nil {
		return err
	}
	w.tags, w.buffer = append(w.tags, tag), w.buffer[:0]
	return nil
}

// close completes the object; it may be repeated.
func (w *writer) close() (dossier.Object, error) {
	if w.done != nil {
		return *w.done, nil
	}
	o := dossier.Object{Key: w.key, Bytes: w.size, SHA256: hex.EncodeToString(w.sum.Sum(nil))}
	s := w.packages
	switch {
	case w.size == 0:
		o.Key = ""
	case w.upload == "":
		if err := s.put(w.ctx, w.key, w.buffer); err != nil {
			return o, err
		}
	default:
		if len(w.buffer) > 0 {
			if err := w.flush(); err != nil {
				return o, err
			}
		}
		if err := finish(w.ctx, s.client, s.bucket, w.key, w.upload, w.tags, w.size); err != nil {
			return o, err
		}
	}
	w.buffer, w.done = nil, &o
	return o, nil
}
