package conformance

import (
	"context"
	"encoding/json"
	"io"
)

// Recorder is a connector.Sink that remembers what it was given: records as
// JSON by kind, and how long each file is.
type Recorder struct {
	Records map[string][]string
	Files   map[string]int64
}

// Record implements connector.Sink.
func (r *Recorder) Record(kind string, v any) error {
	text, err := json.Marshal(v)
	if r.Records == nil {
		r.Records = map[string][]string{}
	}
	r.Records[kind] = append(r.Records[kind], string(text))
	return err
}

// File implements connector.Sink. The content is read and dropped.
func (r *Recorder) File(_ context.Context, name, _ string, from io.Reader) error {
	if r.Files == nil {
		r.Files = map[string]int64{}
	}
	n, err := io.Copy(io.Discard, from)
	r.Files[name] += n
	return err
}
