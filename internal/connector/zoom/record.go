package zoom

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/avow-consent/avow/internal/errs"
)

// record is a record as Zoom shows it. All of its fields go into an export, also
// those that Zoom will add.
type record map[string]any

// text is a field as a text, whatever it is; "" without.
func (r record) text(field string) string {
	switch v := r[field].(type) {
	case string:
		return v
	case float64:
		return fmt.Sprintf("%.0f", v)
	case json.Number:
		return v.String()
	}
	return ""
}

// number is a field as a whole number; 0 without.
func (r record) number(field string) int {
	n, _ := r[field].(float64)
	return int(n)
}

// rows are the records in the arrays of an answer, where they are kept.
func (r record) rows(fields []string, keep func(record) bool) (list []record) {
	for _, field := range fields {
		array, _ := r[field].([]any)
		for _, v := range array {
			if row, ok := v.(map[string]any); ok && (keep == nil || keep(row)) {
				list = append(list, row)
			}
		}
	}
	return list
}

// doors are fields that let whoever has them in, and those of a hosted event that
// are about other people: they are named in an export, never shown.
var doors = map[string]bool{
	"password": true, "pmi_password": true, "pstn_password": true, "h323_password": true, "h323_passcode": true, "encrypted_password": true, "encrypted_passcode": true,
	"start_url": true, "host_key": true, "dynamic_host_key": true, "recording_play_passcode": true, "participant_pin_code": true,
	"play_url": true, "download_url": true, "transcript_download_url": true, "download_access_token": true,
	"meeting_invitees": true, "alternative_hosts": true, "authentication_exception": true, "language_interpretation": true, "sign_language_interpretation": true, "breakout_room": true,
}

// withheld is the field that names the doors of a record.
const withheld = "held_but_not_shown"

// shown is a record as an export shows it: without doors, and with links that
// carry no password. more are doors that Zoom holds without showing them.
func (r record) shown(more ...string) record {
	names := slices.Clone(more)
	out, _ := hide(map[string]any(r), &names).(map[string]any)
	if slices.Sort(names); len(names) > 0 {
		out[withheld] = slices.Compact(names)
	}
	return out
}

func hide(v any, names *[]string) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for field, value := range v {
			if doors[field] {
				if value != "" && value != nil {
					*names = append(*names, field)
				}
				continue
			}
			out[field] = hide(value, names)
		}
		return out
	case record:
		return hide(map[string]any(v), names)
	case []record:
		out := make([]any, len(v))
		for i := range v {
			out[i] = hide(v[i], names)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = hide(v[i], names)
		}
		return out
	case string:
		return withoutPassword(v, names)
	}
	return v
}

// withoutPassword takes the password out of a link that carries one; a link that
// has it in another place than the query is not shown at all.
func withoutPassword(text string, names *[]string) string {
	if !strings.HasPrefix(text, "https://") || !carries(text) {
		return text
	}
	*names = append(*names, "password")
	link, err := url.Parse(text)
	if err != nil {
		return ""
	}
	query := link.Query()
	query.Del("pwd")
	query.Del("zak")
	link.RawQuery = query.Encode()
	if text = link.String(); carries(text) {
		return ""
	}
	return text
}

func carries(link string) bool {
	return strings.Contains(link, "pwd=") || strings.Contains(link, "zak=")
}

// A ref names a record that Locate has found.
type ref struct {
	what  string // meeting, webinar: a registration; panelist; m, w: a session of a meeting, of a webinar
	parts [3]string
}

// What a ref may be of.
const (
	ofMeeting = "meeting"  // event, registrant, occurrence
	ofWebinar = "webinar"  // event, registrant, occurrence
	ofPanel   = "panelist" // event, panelist
	inMeeting = "m"        // date, UUID, which participant: "" for the one who is proven to be the person
	inWebinar = "w"
)

var plain = regexp.MustCompile(`^[A-Za-z0-9_.+=:-]*$`)

// String has no character that an identifier must not have.
func (r ref) String() string {
	parts := []string{r.what}
	for _, p := range r.parts {
		if !plain.MatchString(p) {
			p = "~" + base64.RawURLEncoding.EncodeToString([]byte(p))
		}
		parts = append(parts, p)
	}
	return strings.Join(parts, "/")
}

var errRef = errs.New(errs.Internal, "a record that was found cannot be read")

func parseRef(text string) (r ref, err error) {
	parts := strings.Split(text, "/")
	if len(parts) != 4 || !slices.Contains([]string{ofMeeting, ofWebinar, ofPanel, inMeeting, inWebinar}, parts[0]) {
		return ref{}, errRef
	}
	r.what = parts[0]
	for i, p := range parts[1:] {
		if coded, ok := strings.CutPrefix(p, "~"); ok {
			raw, err := base64.RawURLEncoding.Strict().DecodeString(coded)
			if err != nil || plain.Match(raw) {
				return ref{}, errRef
			}
			p = string(raw)
		} else if !plain.MatchString(p) {
			return ref{}, errRef
		}
		r.parts[i] = p
	}
	if r.parts[0] == "" || r.parts[1] == "" { // a path without it would mean everybody
		return ref{}, errRef
	}
	return r, nil
}

// longest is how long a packed identifier may be, in bytes.
const longest = 240

// pack puts several refs into one identifier: a person may have hundreds.
func pack(refs []ref) (packed []string) {
	for _, r := range refs {
		text := r.String()
		if n := len(packed); n > 0 && len(packed[n-1])+1+len(text) <= longest {
			packed[n-1] += " " + text
			continue
		}
		packed = append(packed, text)
	}
	return packed
}

func unpack(text string) (refs []ref, err error) {
	for _, one := range strings.Fields(text) {
		r, err := parseRef(one)
		if err != nil {
			return nil, err
		}
		refs = append(refs, r)
	}
	return refs, nil
}
