// Package wire is the consent API's dialect: what its bodies mean on the way in
// and how records look on the way out. It is the reference API's dialect
// (docs/limits.md lists the differences); leniency ends here.
package wire

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/httpapi"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/redact"
)

// publicActs are the acts that a web page may name.
var publicActs = []consent.Act{consent.WebForm, consent.Banner, consent.Signal}

// privateActs are the acts that a back end may name.
var privateActs = []consent.Act{
	consent.WebForm, consent.Banner, consent.Paper, consent.API,
	consent.MessageReply, consent.DoubleOptIn, consent.Signal, consent.Import,
}

// DecodeConsent reads the body of POST /consent or POST /public/consent. What a
// public key has no say in (ip_address, proof_document_ids) is ignored with it.
func DecodeConsent(body json.RawMessage, source consent.Source) (*consent.Submission, error) {
	o, err := httpapi.NewObject(body)
	if err != nil {
		return nil, err
	}
	s := &consent.Submission{
		Source:      source,
		Timestamp:   o.Time("timestamp"),
		SentAt:      o.Time("sent_at"),
		DeviceTime:  o.Time("device_time"),
		ExpiresAt:   o.Time("expires_at"),
		ConsentType: o.Text("consent_type", consent.MaxText),
		Token:       o.Text("subject_token", consent.MaxText),
		Act:         consent.Act(o.Text("act", consent.MaxText)),
		Original:    consent.Source(o.Text("source", consent.MaxText)),
	}
	if gpc := o.Bool("gpc"); gpc != nil {
		s.GPC = *gpc
	}
	if subject, ok := o.Object("subject"); ok {
		s.SubjectID = redact.String(subject.Text("id", consent.MaxSubjectID))
		s.Profile = decodeProfile(subject)
	}
	s.Preferences = decodePreferences(o)
	s.LegalNotices = decodeNotices(o)
	s.Proofs = decodeProofs(o)
	decodeAct(o, s)
	s.OptIn = decodeOptIn(o)
	if source == consent.Private {
		decodeAddress(o, s)
		s.DocumentIDs = DecodeIDs(o, "proof_document_ids")
	} else if auto := o.Bool("autodetect_ip_address"); auto != nil {
		s.NoIP = !*auto
	}
	return s, o.Err()
}

// decodeAct checks the act against the class of the key. Only an import may
// state the source of the event in the system that it comes from.
func decodeAct(o httpapi.Object, s *consent.Submission) {
	allowed := publicActs
	if s.Source == consent.Private {
		allowed = privateActs
	}
	if s.Act != "" && !slices.Contains(allowed, s.Act) {
		o.Dislike("act", "is not one that this key may state")
	}
	if s.Act != consent.Import {
		s.Original = ""
		return
	}
	if s.Original != "" && s.Original != consent.Public && s.Original != consent.Private {
		o.Dislike("source", "must be public or private")
	}
}

// decodeOptIn reads double_opt_in. What nobody could act on is refused, not
// ignored: a consent that was meant to wait must not count at once.
func decodeOptIn(o httpapi.Object) *consent.OptInRequest {
	in, ok := o.Object("double_opt_in")
	if !ok {
		return nil
	}
	r := &consent.OptInRequest{Channel: consent.Channel(in.Text("channel", consent.MaxText)), Language: in.Text("language", consent.MaxText)}
	if !r.Channel.Known() {
		in.Dislike("channel", "must be email or whatsapp")
	}
	if r.Language != "" && !identity.IsLanguage(r.Language) {
		in.Dislike("language", "must be a language tag, such as fr or en")
	}
	return r
}

func decodeAddress(o httpapi.Object, s *consent.Submission) {
	text := o.Text("ip_address", consent.MaxText)
	if text == "" {
		return
	}
	ip, err := netip.ParseAddr(text)
	if err != nil || ip.Zone() != "" {
		o.Dislike("ip_address", "must be an IPv4 or IPv6 address")
		return
	}
	s.IP, s.IPGiven = redact.String(ip.String()), true
}

// decodeProfile reads the fields of a subject. A null clears a field; "" states
// nothing.
func decodeProfile(o httpapi.Object) consent.Profile {
	text := func(name string) *consent.Text {
		if o.Null(name) {
			return &consent.Text{Null: true}
		}
		if value := o.Text(name, consent.MaxText); value != "" {
			return &consent.Text{Value: redact.String(value)}
		}
		return nil
	}
	p := consent.Profile{
		Email: trimmed(text("email")), FirstName: text("first_name"),
		LastName: text("last_name"), FullName: text("full_name"),
	}
	if o.Null("verified") {
		p.Verified = &consent.Flag{Null: true}
	} else if v := o.Bool("verified"); v != nil {
		p.Verified = &consent.Flag{Value: *v}
	}
	if o.Null("phones") {
		p.Phones = &consent.Phones{Null: true}
	} else if o.Raw("phones") != nil {
		p.Phones = decodePhones(o)
	}
	return p
}

// trimmed drops the space around an e-mail: nobody types it on purpose, and it
// would hide the address from who looks for it.
func trimmed(t *consent.Text) *consent.Text {
	if t == nil || t.Null {
		return t
	}
	value := strings.TrimSpace(t.Value.Reveal())
	if value == "" {
		return nil
	}
	return &consent.Text{Value: redact.String(value)}
}

func decodePhones(o httpapi.Object) *consent.Phones {
	var list []consent.Phone
	for _, e := range o.List("phones", consent.MaxPhones) {
		phone, ok := e.Object()
		if !ok {
			continue
		}
		number := phone.Text("number", consent.MaxText)
		if number == "" {
			phone.Dislike("number", "must not be empty")
		}
		list = append(list, consent.Phone{Number: redact.String(number), Label: phone.Text("label", consent.MaxText)})
	}
	if list == nil {
		return nil
	}
	return &consent.Phones{List: list}
}

// decodePreferences keeps each value as the JSON text that it came as, without
// the white space between tokens.
func decodePreferences(o httpapi.Object) []consent.Preference {
	if _, ok := o.Object("preferences"); !ok {
		return nil
	}
	names, values, ok := httpapi.Fields(o.Raw("preferences"))
	if !ok {
		o.Dislike("preferences", "must be an object")
		return nil
	}
	if len(names) > consent.MaxPreferences {
		o.Dislike("preferences", "must have at most "+strconv.Itoa(consent.MaxPreferences)+" keys")
		return nil
	}
	var list []consent.Preference
	total := 0
	for i, name := range names {
		if name == "" || len(name) > consent.MaxPreferenceKey {
			o.Dislike("preferences", "must have keys of 1 to "+strconv.Itoa(consent.MaxPreferenceKey)+" bytes")
			return nil
		}
		var text bytes.Buffer
		_ = json.Compact(&text, values[i])
		total += len(name) + text.Len()
		list = append(list, consent.Preference{Key: name, Value: text.String()})
	}
	if total > consent.MaxPreferenceBytes {
		o.Dislike("preferences", "must have at most "+strconv.Itoa(consent.MaxPreferenceBytes)+" bytes in all")
	}
	return list
}

func decodeNotices(o httpapi.Object) []consent.NoticeRef {
	var list []consent.NoticeRef
	for _, e := range o.List("legal_notices", consent.MaxLegalNotices) {
		notice, ok := e.Object()
		if !ok {
			continue
		}
		identifier := notice.Text("identifier", consent.MaxText)
		if identifier == "" {
			notice.Dislike("identifier", "must not be empty")
		}
		list = append(list, consent.NoticeRef{Identifier: identifier, Version: notice.Text("version", consent.MaxText)})
	}
	return list
}

// decodeProofs reads proofs. Their texts have no limit of their own: the body
// has one.
func decodeProofs(o httpapi.Object) []consent.ProofText {
	var list []consent.ProofText
	for _, e := range o.List("proofs", consent.MaxProofs) {
		proof, ok := e.Object()
		if !ok {
			continue
		}
		text := func(name string) *redact.String {
			value := redact.String(proof.Text(name, consent.MaxBody))
			if value == "" {
				return nil
			}
			return &value
		}
		p := consent.ProofText{Content: text("content"), Form: text("form")}
		if p.Content != nil || p.Form != nil {
			list = append(list, p)
		}
	}
	return list
}

// DecodeIDs reads a list of document ids.
func DecodeIDs(o httpapi.Object, name string) []string {
	var ids []string
	for _, e := range o.List(name, consent.MaxDocuments) {
		if id := e.Text(consent.MaxText); id != "" {
			ids = append(ids, id)
		}
	}
	return ids
}

// DecodeSubject reads the body of POST /subjects or PUT /subjects/:id.
func DecodeSubject(body json.RawMessage) (*consent.SubjectStatement, error) {
	o, err := httpapi.NewObject(body)
	if err != nil {
		return nil, err
	}
	s := &consent.SubjectStatement{
		SubjectID: redact.String(o.Text("id", consent.MaxSubjectID)),
		Profile:   decodeProfile(o),
	}
	return s, o.Err()
}
