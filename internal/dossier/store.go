package dossier

import "context"

// Part is what one finished step of an export has stored. It is written last:
// without it nothing of the step counts, with it everything does.
type Part struct {
	Records Object         `json:"records"` // one Record a line
	Counts  map[string]int `json:"counts"`  // records by kind
	Files   []File         `json:"files,omitempty"`
}

// Object is a stored object, which never changes.
type Object struct {
	Key    string `json:"key,omitempty"` // empty when there are no bytes
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"` // hex
}

// File is an attachment. Its name is a vendor's or the person's own: it may hold
// anything, and stands in no key.
type File struct {
	Object
	Name string `json:"name"`
	Type string `json:"type"` // media type, as the system says
}

// MaxRecord is the largest record of an export, in bytes of JSON: one is held in
// memory as a whole. What is larger is a file.
const MaxRecord = 4 << 20

// PieceBytes is the size of each piece of a package's upload but the last: the
// least that S3 takes, because one is held in memory.
const PieceBytes = 5 << 20

// Store keeps the parts of packages and the packages themselves. Every call may
// be repeated. Errors are internal/errs: Unavailable may pass.
type Store interface {
	// Part reads what a step has stored; NotFound when it has not finished.
	Part(ctx context.Context, request, system string, chunk int) (*Part, error)
	// Uploaded reads what a person has uploaded under the name of a step's Upload;
	// NotFound.
	Uploaded(ctx context.Context, request, system, name string) (*Part, error)
	// ReadAt fills p from an object, from offset on.
	ReadAt(ctx context.Context, key string, p []byte, offset int64) error

	// State is what PutState kept of a build; NotFound.
	State(ctx context.Context, request, build string) ([]byte, error)
	PutState(ctx context.Context, request, build string, state []byte) error

	// Begin opens the upload of a package, Upload stores its piece n (from 1), or
	// stores it again, and returns the tag by which Finish knows it. Finish makes
	// the package of the pieces and may be repeated; Conflict: the upload is gone,
	// or a piece is not the one with that tag.
	Begin(ctx context.Context, request, build string) (upload string, err error)
	Upload(ctx context.Context, request, build, upload string, n int, body []byte) (tag string, err error)
	Finish(ctx context.Context, request, build, upload string, tags []string, bytes int64) error
}
