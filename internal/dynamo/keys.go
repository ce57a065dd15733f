package dynamo

import (
	"crypto/sha256"
	"encoding/hex"
	"hash/fnv"
	"strconv"
	"strings"
	"time"

	"github.com/avow-consent/avow/internal/chat"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/redact"
	"github.com/avow-consent/avow/internal/request"
)

// Every key of every table is built in this file. '#' separates the parts; a
// site id never holds one, so the first part can always be told.

// Sort keys that begin with '~' come after every consent id, which begins with
// a hexadecimal digit.
const (
	subjectEventPrefix = "~subject#"
	bindingPrefix      = "~bind#"
	afterConsents      = "~"
)

// eventSort is the sort key of an event in its subject's partition.
func eventSort(e *consent.Event) string {
	if e.Kind != consent.KindConsent {
		return subjectEventPrefix + e.ID
	}
	return e.ID
}

// bindingSort is the sort key of a binding in its address's partition.
func bindingSort(b *consent.Binding) string { return bindingPrefix + b.Subject }

// bindingAgain is the sort key of a binding that is made again after an erasure
// has left a tombstone in its place.
func bindingAgain(b *consent.Binding, erased time.Time) string {
	return bindingSort(b) + "#" + strconv.FormatInt(erased.UnixMilli(), 10)
}

// BoundSubject is the partition that a row binds to the one it stands in, given
// the row's sort key. ok is false for a row that is no binding.
func BoundSubject(id string) (subject string, ok bool) {
	subject, ok = strings.CutPrefix(id, bindingPrefix)
	subject, _, _ = strings.Cut(subject, "#")
	return subject, ok
}

// listing is the partition of the Listing index that holds a consent: month and
// shard follow from its id.
func listing(site, id string, shards int) string {
	return listingShard(site, consent.Month(id), shardOf(id, shards))
}

func listingShard(site, month string, shard int) string {
	return site + "#" + month + "#" + strconv.Itoa(shard)
}

func shardOf(id string, shards int) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id))
	return int(h.Sum32() % uint32(max(1, shards)))
}

// noticeKey is the partition of the versions of a notice.
func noticeKey(site, identifier string) string { return site + "#" + identifier }

// noticeRequest is the row that remembers an idempotent publication. It cannot
// meet a notice: a site id is never empty.
func noticeRequest(hash string) string { return "#" + hash }

// noticeListed orders the notices of a site by the time that they show. A sort
// key has at most 1024 bytes, so a long identifier stands by its digest.
func noticeListed(at time.Time, identifier string, version int) string {
	const longest, digits = 512, 10
	if len(identifier) > longest {
		sum := sha256.Sum256([]byte(identifier))
		identifier = hex.EncodeToString(sum[:])
	}
	v := strconv.Itoa(version)
	return noticeTime(at) + "#" + identifier + "#" + strings.Repeat("0", max(0, digits-len(v))) + v
}

// noticeTime is what the sort keys of the notices of an instant begin with.
func noticeTime(at time.Time) string { return at.UTC().Format("20060102T150405.000Z") }

// formKey is the row of a form.
func formKey(site, digest string) string { return site + "#" + digest }

// viewSort is the sort key of a subject's projected view.
const viewSort = "VIEW"

// createdLayout is how a view's time of creation is written in keys: of one
// length, so that texts sort as times do.
const createdLayout = "20060102T150405.000Z"

// viewCreated orders the subjects of a site.
func viewCreated(p consent.Position) string { return createdAt(p.Created) + "#" + p.Subject }

func createdAt(t time.Time) string { return t.UTC().Format(createdLayout) }

// parseCreated takes viewCreated apart.
func parseCreated(s string) (p consent.Position, ok bool) {
	at, subject, found := strings.Cut(s, "#")
	t, err := time.Parse(createdLayout, at)
	return consent.Position{Created: t, Subject: subject}, found && err == nil
}

// searchKey is the partition of the search entries of a field whose texts begin
// with the same two characters. No subject's partition holds a '#'.
func searchKey(site string, t consent.Token) string {
	runes := []rune(t.Text.Reveal())
	return site + "#" + string(t.Field) + "#" + string(runes[:min(2, len(runes))])
}

// searchSort orders search entries by text; time and subject make it unique.
func searchSort(e consent.Entry) string { return e.Token.Text.Reveal() + "#" + viewCreated(e.At) }

// parseSearch reads a search entry from its key: the text may hold any '#', time
// and subject hold none.
func parseSearch(key, sort string) (e consent.Entry, ok bool) {
	site, rest, _ := strings.Cut(key, "#")
	field, _, _ := strings.Cut(rest, "#")
	end := strings.LastIndexByte(sort, '#')
	if end > 0 {
		end = strings.LastIndexByte(sort[:end], '#')
	}
	if end < 0 {
		return e, false
	}
	e = consent.Entry{Site: site, Token: consent.Token{Field: consent.Field(field), Text: redact.String(sort[:end])}}
	e.At, ok = parseCreated(sort[end+1:])
	return e, ok
}

// The rows of a request's partition, by sort key.
const (
	requestSort  = "REQUEST"
	personalSort = "PERSONAL"
	linkSort     = "LINK"
	counterSort  = "COUNTER"
	suppressSort = "SUPPRESSED"
	askedSort    = "ASKED"
	claimSort    = "CLAIM"

	identifierPrefix = "IDENTIFIER#"
	foundPrefix      = "FOUND#"
	stepPrefix       = "STEP#"
	taskPrefix       = "TASK#"
	decisionPrefix   = "DECISION#"
	tokenPrefix      = "TOKEN#"
	mailPrefix       = "MAIL#"
	logPrefix        = "LOG#"
	linkRefPrefix    = "LINKREF#"
)

// requestRow is the key of a row of the table of requests.
func requestRow(partition, sort string) item {
	return item{"request": text(partition), "item": text(sort)}
}

// stepSort is the sort key of one operation on one system: the operation itself,
// or the n-th look after it.
func stepSort(s request.Step) string {
	what := string(s.Operation)
	if s.Look > 0 {
		what = "look-" + strconv.Itoa(s.Look)
	}
	return stepPrefix + s.System + "#" + what
}

// Rows that are found by what they are, not by their request.
func linkRow(hash string) item          { return requestRow("LINK#"+hash, linkSort) }
func counterRow(name string) item       { return requestRow("COUNTER#"+name, counterSort) }
func askedRow(consentID string) item    { return requestRow("ASKED#"+consentID, askedSort) }
func claimRow(name string) item         { return requestRow("CLAIM#"+name, claimSort) }
func suppressedRow(address string) item { return requestRow("SUPPRESSED#"+address, suppressSort) }

// siteState is the partition of a site's requests in one state.
func siteState(site string, state request.State) string { return site + "#" + string(state) }

// The partitions of the requests that somebody has to look at: sweep at those
// that are open, and at those that have ended and of which something is still to
// be done; erase at those of which nothing is left to do but to remove them.
const (
	attending = "open"
	lingering = "ended"
	leaving   = "over"
)

// dueSort orders requests by the legal deadline.
func dueSort(due time.Time, id string) string { return createdAt(due) + "#" + id }

// parseDue takes dueSort apart.
func parseDue(s string) (due time.Time, id string, ok bool) {
	at, id, found := strings.Cut(s, "#")
	due, err := time.Parse(createdLayout, at)
	return due, id, found && err == nil && createdAt(due) == at && requestID(id)
}

// requestID reports whether a text can be the id of a request: it is part of
// keys and cursors.
func requestID(id string) bool {
	const longest = 64
	return id != "" && len(id) <= longest && !strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' || r == '#' })
}

// erasureKey is the tombstone of an identifier, given its keyed hash.
func erasureKey(identifier string) item { return item{"identifier": text(identifier)} }

// The rows of the table of messages, by sort key in a person's partition. A
// keyed hash holds no '#', so no person's partition is spelled like silence.
const (
	contactSort    = "CONTACT"
	incomingPrefix = "IN#"
	outgoingPrefix = "OUT#"
	sentPrefix     = "SENT#" // by the vendor's id: which message it is
	silencePrefix  = "SILENCED#"
)

// messageRow is the key of a row of the table of messages.
func messageRow(person, entry string) item {
	return item{"person": text(person), "entry": text(entry)}
}

// silenceRow says that somebody has stopped the messages to an address.
func silenceRow(address string, r chat.Reason) item {
	return messageRow(silencePrefix+address, string(r))
}
