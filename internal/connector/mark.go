package connector

import "context"

// Marker may be implemented by a connector whose system has flags that say
// whether a person may be contacted or their data used: they follow what the
// ledger answers, and what people change there comes back to the ledger.
type Marker interface {
	// CheckMark judges the name of a flag in the configuration; Invalid says which
	// there are. It asks nobody.
	CheckMark(flag string) error
	// Mark brings the flags of the person's own records to their answers. It may be
	// called again at any time: it looks before it changes.
	Mark(ctx context.Context, m Marking) (Marked, error)
	// Marks lists records whose flags may have changed since the cursor, "" for
	// none before now, and where to go on. More: there is more of them.
	Marks(ctx context.Context, flags []string, cursor string) (list []Flagged, next string, more bool, err error)
}

// Marking is what the flags of a person have to say.
type Marking struct {
	Subject Subject         // e-mails by which the ledger answers for the person
	Yes     map[string]bool // by flag: whether the person agrees
	// Last is what the system was told before; a flag that it was never told of is
	// absent. A no that it has on its own account stays, whatever Yes says: it is a
	// withdrawal that somebody has entered there.
	Last map[string]bool
}

// Marked is the outcome of Mark.
type Marked struct {
	Records int // of the person
	Changed int // of these
	// Own are flags in which a record says no on its own account.
	Own []string
}

// Flagged is a record with its flags as they stand.
type Flagged struct {
	Email string          // of the person, as the system has it
	Yes   map[string]bool // by flag
}

// OwnNo reports whether a record's no to a flag is its own: nobody has told it so.
func (m Marking) OwnNo(flag string) bool {
	last, told := m.Last[flag]
	return !told || last
}
