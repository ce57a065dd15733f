package zendesksupport

import "encoding/json"

// For tests of what outside input becomes.
var (
	Markup = markup
	Blank  = blank
	Quote  = quote
	Plain  = plain
)

// Outcome is how a job of this text stands.
func Outcome(text []byte) (string, error) {
	var j job
	err := json.Unmarshal(text, &j)
	return j.outcome(), err
}

// Chats are the ids of the chats that began in an audit of this text.
func Chats(text []byte) (ids []string) {
	var a audit
	if json.Unmarshal(text, &a) != nil {
		return nil
	}
	for _, c := range a.chats() {
		ids = append(ids, c.ID)
		for _, l := range c.History {
			l.redaction(c.ID)
		}
	}
	return ids
}

// Next is the cursor that a page of this text gives.
func Next(text []byte) (cursor string, ok bool) {
	var p paging
	if json.Unmarshal(text, &p) != nil {
		return "", false
	}
	return p.next()
}
