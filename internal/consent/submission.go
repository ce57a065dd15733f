package consent

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strconv"
	"time"

	"github.com/avow-consent/avow/internal/redact"
)

// Submission is a consent as a client posted it, decoded but not yet judged.
type Submission struct {
	Source         Source // class of the key: Public or Private
	IdempotencyKey string // UUIDv7; "" when the client sent none
	Token          string // subject token; "" when none

	Timestamp  *time.Time
	SentAt     *time.Time
	DeviceTime *time.Time
	ExpiresAt  *time.Time

	SubjectID    redact.String
	Profile      Profile
	Preferences  []Preference
	LegalNotices []NoticeRef
	Proofs       []ProofText
	DocumentIDs  []string
	ConsentType  string
	Act          Act    // "" for the default of the source
	Original     Source // with Import: the source of the event in the system it comes from
	GPC          bool   // stated in the body
	OptIn        *OptInRequest

	// What follows the server adds itself, from what stands in the digest: with
	// another register, a retry is still the same request.
	Shown    []ProofText // what it has shown, and what was chosen
	Objected []string    // of Preferences: the noes that object to a legitimate interest

	// What follows comes from the transport and is no part of the request's
	// digest: a retry from another network is the same request.
	SignalGPC bool          // Sec-GPC: 1
	IP        redact.String // given by a private key, or the caller's own when a public post allows it
	IPGiven   bool          // the body had ip_address: then it is part of the digest
	NoIP      bool          // autodetect_ip_address: false
}

// ProofText is a proof with its texts.
type ProofText struct {
	Content *redact.String
	Form    *redact.String
}

// Digest identifies the request: SHA-256 of everything the client stated, and
// of the class of its key, without addresses, headers, sent_at and the receive
// time. Preferences count by key, in any order.
func (s *Submission) Digest() [32]byte {
	d := newDigest("avow/request/v1")
	d.text(string(s.Source), string(s.Act), string(s.Original), s.ConsentType, s.Token, s.SubjectID.Reveal())
	d.time(s.Timestamp)
	d.time(s.DeviceTime)
	d.time(s.ExpiresAt)
	d.profile(&s.Profile)
	d.preferences(s.Preferences)
	d.notices(s.LegalNotices)
	d.count(len(s.Proofs))
	for _, p := range s.Proofs {
		d.optional(p.Content)
		d.optional(p.Form)
	}
	d.count(len(s.DocumentIDs))
	d.text(s.DocumentIDs...)
	d.flag(s.GPC)
	d.flag(s.NoIP)
	if s.IPGiven {
		d.text(s.IP.Reveal())
	}
	if s.OptIn != nil {
		d.text("double_opt_in", string(s.OptIn.Channel), s.OptIn.Language)
	}
	return d.sum()
}

// Checksum is the SHA-256, in hex, of everything an event holds: what a record
// shows as its checksum.
func (e *Event) Checksum() string {
	d := newDigest("avow/event/v1")
	d.text(e.ID, string(e.Kind), e.Site, e.SubjectID.Reveal(), string(e.Source), string(e.Act),
		e.ConsentType, string(e.Token), e.IP.Reveal())
	d.time(&e.Claimed)
	d.time(&e.Received)
	d.time(e.Corrected)
	d.time(e.SentAt)
	d.time(e.DeviceTime)
	d.time(e.ExpiresAt)
	d.profile(&e.Profile)
	d.preferences(e.Preferences)
	d.count(len(e.Objected))
	d.text(e.Objected...)
	d.flag(e.GPC)
	d.flag(e.Undated)
	d.notices(e.LegalNotices)
	d.count(len(e.Proofs))
	for _, p := range e.Proofs {
		d.flag(p.HasContent)
		d.text(p.Content.Reveal(), p.ContentDigest, p.FormDigest, p.FormNonce)
	}
	d.count(len(e.DocumentIDs))
	d.text(e.DocumentIDs...)
	d.text(string(e.Request[:]))
	if e.Case != "" || e.All || e.Lifted { // no other event has what follows
		d.text(e.Case)
		d.flag(e.All)
		d.flag(e.Lifted)
	}
	if o := e.OptIn; o != nil {
		d.text("double_opt_in", string(o.Channel), o.Address.Reveal(), o.Language)
		d.time(&o.Until)
	}
	if c := e.Confirms; c != nil {
		d.text("confirms", c.Consent)
		d.time(&c.At)
		d.time(&c.Received)
		d.time(&c.Until)
		d.message(&c.Message)
	}
	sum := d.sum()
	return hex.EncodeToString(sum[:])
}

// digest hashes values so that no two different lists give the same input:
// every text is preceded by its length, every list by its count.
type digest struct{ input []byte }

func newDigest(domain string) *digest {
	const usual = 4096 // bytes of a consent with its form
	d := &digest{input: make([]byte, 0, usual)}
	d.text(domain)
	return d
}

func (d *digest) count(n int) { d.input = binary.BigEndian.AppendUint64(d.input, uint64(n)) }

func (d *digest) text(texts ...string) {
	for _, t := range texts {
		d.count(len(t))
		d.input = append(d.input, t...)
	}
}

func (d *digest) flag(b bool) { d.text(strconv.FormatBool(b)) }

func (d *digest) time(t *time.Time) {
	if t == nil {
		d.text("")
		return
	}
	d.text(strconv.FormatInt(t.UnixMilli(), 10))
}

func (d *digest) optional(s *redact.String) {
	d.flag(s != nil)
	if s != nil {
		d.text(s.Reveal())
	}
}

func (d *digest) message(m *Message) {
	d.text(string(m.Channel), m.Language, m.Wording.Reveal(), m.Template, m.TemplateVersion, m.Answer.Reveal())
	d.count(len(m.IDs))
	d.text(m.IDs...)
	d.time(&m.SentAt)
	d.time(&m.AnsweredAt)
}

func (d *digest) profile(p *Profile) {
	for _, t := range []*Text{p.Email, p.FirstName, p.LastName, p.FullName} {
		d.flag(t != nil)
		if t != nil {
			d.flag(t.Null)
			d.text(t.Value.Reveal())
		}
	}
	d.flag(p.Verified != nil)
	if p.Verified != nil {
		d.flag(p.Verified.Null)
		d.flag(p.Verified.Value)
	}
	d.flag(p.Phones != nil)
	if p.Phones != nil {
		d.flag(p.Phones.Null)
		d.count(len(p.Phones.List))
		for _, phone := range p.Phones.List {
			d.text(phone.Number.Reveal(), phone.Label)
		}
	}
}

func (d *digest) preferences(list []Preference) {
	sorted := slices.SortedFunc(slices.Values(list), func(a, b Preference) int { return cmp.Compare(a.Key, b.Key) })
	d.count(len(sorted))
	for _, p := range sorted {
		d.text(p.Key, p.Value)
	}
}

func (d *digest) notices(list []NoticeRef) {
	d.count(len(list))
	for _, n := range list {
		d.text(n.Identifier, n.Version)
	}
}

func (d *digest) sum() [32]byte { return sha256.Sum256(d.input) }
