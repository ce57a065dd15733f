package consent

// The limits of a write (docs/limits.md). Beyond them a request is refused with
// an error that names the limit.
const (
	MaxPreferences     = 100
	MaxPreferenceBytes = 32 << 10 // all keys and values of one consent
	MaxPreferenceKey   = 128
	MaxSubjectID       = 256
	MaxLegalNotices    = 32
	MaxProofs          = 16
	MaxPhones          = 20
	MaxDocuments       = 32
	MaxText            = 1 << 10   // every other string
	MaxDepth           = 16        // nesting of a body
	MaxBody            = 1 << 20   // a request body
	MaxItem            = 256 << 10 // an event as it is stored
	MaxPerson          = 20 << 20  // the events of one person that one read may take
	MaxBound           = 100       // partitions that one person may consist of
)
