// Package snippet holds avow.js, the script that websites load to record consents, as it is served, and the scripts
// beside it that a site loads where it uses them.
//
// The script's source is TypeScript in src; `go run ./scripts/snippet` bundles it into dist, which is committed, so
// that nothing but Go's own embedding is needed to link it into a function.
package snippet

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"sync"
)

//go:embed dist/avow.js
var source string

//go:embed dist/*.js dist/*.mjs
var dist embed.FS

// Version is that of the scripts (semver.org). It changes with every published change of them: dist/integrity.json
// keeps the integrity of each version's files.
const Version = "1.0.0"

// Released says that sites may have the files of Version: from then on they never change. The next change takes the next
// version, which is not released.
const Released = false

// ContentType is the media type to serve the script with.
const ContentType = "text/javascript; charset=utf-8"

// Source returns the script. The caller owns the slice.
func Source() []byte { return []byte(source) }

// Files are all scripts, at the top: avow.js, avow-gate.js and so on, each also as a module (.mjs).
func Files() fs.FS {
	files, err := fs.Sub(dist, "dist")
	if err != nil {
		panic(err) // the name is a constant and valid
	}
	return files
}

// ETag returns the strong entity tag of Source, quoted as the HTTP header wants it.
func ETag() string { return etag() }

var etag = sync.OnceValue(func() string {
	sum := sha256.Sum256([]byte(source))
	return `"` + hex.EncodeToString(sum[:16]) + `"`
})
