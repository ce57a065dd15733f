package dossier

import "unicode/utf8"

// Record is one line of a part.
type Record struct {
	Kind  string `json:"kind"`
	Value any    `json:"record"`
}

// ValidKind reports whether a connector may name a kind of record so: it stands
// in the exclusion of parts ("system/kind") and in counts.
func ValidKind(kind string) bool {
	if kind == "" || len(kind) > 64 || !utf8.ValidString(kind) {
		return false
	}
	for _, r := range kind {
		if r == '/' || r < ' ' || r == 0x7f {
			return false
		}
	}
	return true
}
