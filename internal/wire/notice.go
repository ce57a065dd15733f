package wire

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/httpapi"
)

// maxLanguage bounds a language tag (RFC 5646 §4.4.1).
const maxLanguage = 35

// DecodeNotices reads the body of POST /legal_notices: one notice, or an array
// of them, which is answered by an array. How many one call may publish, the
// Publisher says.
func DecodeNotices(body json.RawMessage) (drafts []consent.NoticeDraft, bulk bool, err error) {
	if !begins(body, '[') {
		o, err := httpapi.NewObject(body)
		if err != nil {
			return nil, false, errs.New(errs.Invalid, "the body must be a JSON object, or an array of them")
		}
		return []consent.NoticeDraft{decodeDraft(o)}, false, o.Err()
	}
	// An object with a nameless list: its elements are disliked as "[0].content".
	whole, err := httpapi.NewObject(json.RawMessage(`{"":` + string(body) + `}`))
	if err != nil {
		return nil, true, err
	}
	for i, e := range whole.List("", consent.MaxBody) {
		o, ok := e.Object()
		if !ok {
			whole.Dislike("["+strconv.Itoa(i)+"]", "must be an object")
			continue
		}
		drafts = append(drafts, decodeDraft(o))
	}
	return drafts, true, whole.Err()
}

func decodeDraft(o httpapi.Object) consent.NoticeDraft {
	d := consent.NoticeDraft{
		Identifier:  o.Text("identifier", consent.MaxText),
		Texts:       decodeTexts(o),
		Effective:   o.Time("timestamp"),
		DocumentIDs: DecodeIDs(o, "document_ids"),
	}
	if d.Identifier == "" {
		o.Dislike("identifier", "must not be empty")
	}
	return d
}

// decodeTexts reads a content: a text, or texts by language. They have no limit
// of their own: the body has one.
func decodeTexts(o httpapi.Object) map[string]string {
	raw := o.Raw("content")
	if !begins(raw, '{') {
		text := noticeText(o, "content")
		if text == "" {
			o.Dislike("content", "must be a text, or an object of texts by language")
		}
		return map[string]string{"": text}
	}
	content, _ := o.Object("content")
	languages, _, _ := httpapi.Fields(raw)
	if len(languages) == 0 || len(languages) > consent.MaxLanguages {
		o.Dislike("content", "must have 1 to "+strconv.Itoa(consent.MaxLanguages)+" languages")
		return nil
	}
	texts := make(map[string]string, len(languages))
	for _, language := range languages {
		if language == "" || len(language) > maxLanguage {
			o.Dislike("content", "must have language tags of 1 to "+strconv.Itoa(maxLanguage)+" bytes")
			return nil
		}
		if texts[language] = noticeText(content, language); texts[language] == "" {
			content.Dislike(language, "must be a text")
		}
	}
	return texts
}

// noticeText is a text as it was written. What is no string is no text: a false
// or a 0 is nothing that anybody has read.
func noticeText(o httpapi.Object, name string) string {
	if !begins(o.Raw(name), '"') {
		return ""
	}
	text := o.Text(name, consent.MaxBody)
	if strings.TrimSpace(text) == "" {
		return ""
	}
	return text
}

func begins(raw json.RawMessage, c byte) bool {
	raw = bytes.TrimLeft(raw, " \t\r\n")
	return len(raw) > 0 && raw[0] == c
}

// NoticeAcknowledgement is the answer to a publication.
type NoticeAcknowledgement struct {
	Identifier string `json:"identifier"`
	Version    int    `json:"version"`
	Timestamp  string `json:"timestamp"`
}

// NewNoticeAcknowledgement renders the answer to a publication.
func NewNoticeAcknowledgement(n *consent.Notice) NoticeAcknowledgement {
	return NoticeAcknowledgement{Identifier: n.Identifier, Version: n.Version, Timestamp: Time(n.Effective)}
}

// NoticeVersion is a version of a notice with its texts. Published is our own
// addition: the server's time, which decides what an event could be subject to.
type NoticeVersion struct {
	ID         string     `json:"id"`
	OwnerID    string     `json:"owner_id"`
	Identifier string     `json:"identifier"`
	Version    int        `json:"version"`
	Timestamp  string     `json:"timestamp"`
	Published  string     `json:"published_at"`
	Content    any        `json:"content"` // a string, or map[string]string by language
	Documents  []Document `json:"documents"`
}

// NoticeID names all versions of a notice, as the reference API does.
func NoticeID(site, identifier string) string { return site + "_" + identifier }

// NewNoticeVersion renders a version; text gives the text of a digest, document
// what is known of an id.
func NewNoticeVersion(n *consent.Notice, text func(digest string) string, document func(id string) Document) NoticeVersion {
	v := NoticeVersion{
		ID: NoticeID(n.Site, n.Identifier), OwnerID: n.Site, Identifier: n.Identifier, Version: n.Version,
		Timestamp: Time(n.Effective), Published: Time(n.Published), Documents: []Document{},
	}
	if digest, plain := n.Texts[""]; plain {
		v.Content = text(digest)
	} else {
		content := make(map[string]string, len(n.Texts))
		for language, digest := range n.Texts {
			content[language] = text(digest)
		}
		v.Content = content
	}
	for _, id := range n.DocumentIDs {
		v.Documents = append(v.Documents, document(id))
	}
	return v
}
