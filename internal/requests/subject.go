package requests

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/pseudonym"
	"github.com/avow-consent/avow/internal/redact"
	"github.com/avow-consent/avow/internal/request"
)

// subject is one person as a body names them.
type subject struct {
	Email      redact.String `json:"email"`
	Phone      redact.String `json:"phone"`
	Name       redact.String `json:"name"`
	SubjectID  redact.String `json:"subject_id"`
	ExternalID redact.String `json:"external_id"`
	ChatID     redact.String `json:"chat_id"`
	// Identifiers are of the kinds of single systems.
	Identifiers []struct {
		Kind  identity.Kind `json:"kind"`
		Value redact.String `json:"value"`
	} `json:"identifiers"`
}

// named is an identifier of a body, with the field that it stands in.
type named struct {
	field string
	kind  identity.Kind
	value redact.String
}

func (p subject) named(path string) []named {
	list := []named{
		{path + "email", identity.Email, p.Email}, {path + "phone", identity.Phone, p.Phone},
		{path + "name", identity.Name, p.Name}, {path + "subject_id", identity.SubjectID, p.SubjectID},
		{path + "external_id", identity.ExternalID, p.ExternalID}, {path + "chat_id", identity.ChatID, p.ChatID},
	}
	list = slices.DeleteFunc(list, func(n named) bool { return n.value == "" })
	for i, one := range p.Identifiers {
		list = append(list, named{fmt.Sprintf("%sidentifiers[%d]", path, i), one.Kind, one.Value})
	}
	return list
}

// maxIdentifiers is how many identifiers one person may be named by.
const maxIdentifiers = 20

// ofVendor is how the kinds of single systems are written: "refdesk.user_id".
var ofVendor = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,40}\.[a-z][a-z0-9_]{0,40}$`)

// everybody are words that stand for no person, in the languages in which
// somebody may have meant them.
var everybody = []string{
	"all", "any", "anybody", "anyone", "everybody", "everyone", "everything", "everywhere", "nobody", "none", "null", "nil", "undefined",
	"unknown", "anonymous", "n/a", "na", "tous", "toutes", "tout", "tout le monde", "aucun", "inconnu", "anonyme", "true", "false", "nan",
}

// blanket reports whether a value would stand for more than a person: wild
// cards, words for everybody, nothing but signs.
func blanket(kind identity.Kind, value string) bool {
	text := strings.ToLower(strings.TrimSpace(norm.NFKC.String(value))) // as a search may read it
	if kind == identity.Email {
		local, domain, _ := strings.Cut(text, "@")
		return strings.ContainsAny(text, "*%?") || slices.Contains(everybody, local) && !strings.Contains(domain, ".")
	}
	// The company's own ids are compared as a whole and may hold any sign.
	if slices.Contains(everybody, text) || kind != identity.SubjectID && strings.ContainsAny(text, "*%") {
		return true
	}
	return !strings.ContainsFunc(text, func(r rune) bool {
		return unicode.IsLetter(r) || unicode.IsNumber(r) || r > unicode.MaxASCII && unicode.IsSymbol(r)
	})
}

// identifiers reads the people that a request is about: one person, or a small
// named set. What could match everybody is refused, and so is a person of whom
// only a name is known.
func identifiers(h *pseudonym.Hasher, site string, people []subject, trust identity.Trust) ([]request.Known, error) {
	if len(people) == 0 {
		return nil, errs.InvalidField("subject", "must name a person: a request about everybody is refused")
	}
	if len(people) > request.MaxPersons {
		return nil, errs.InvalidField("subjects", "must name at most %d people: a request about more is none of a person", request.MaxPersons)
	}
	var known []request.Known
	var bad []errs.Field
	for i, p := range people {
		path := "subject."
		if len(people) > 1 {
			path = fmt.Sprintf("subjects[%d].", i)
		}
		list := p.named(path)
		if len(list) > maxIdentifiers {
			bad = append(bad, errs.Field{Field: path[:len(path)-1], Message: fmt.Sprintf("must have at most %d identifiers", maxIdentifiers)})
			continue
		}
		usable := false
		for _, n := range list {
			k, message := identifier(h, site, n, trust)
			if message != "" {
				bad = append(bad, errs.Field{Field: n.field, Message: message})
				continue
			}
			usable = usable || n.kind != identity.Name
			if !slices.ContainsFunc(known, func(have request.Known) bool { return have.Key == k.Key }) {
				known = append(known, k)
			}
		}
		if !usable && bad == nil {
			bad = append(bad, errs.Field{Field: path[:len(path)-1], Message: "must name one person: a name alone, or nothing, names nobody"})
		}
	}
	if bad != nil {
		return nil, errs.InvalidFields(bad...)
	}
	return known, nil
}

// identifier reads one identifier; message says what is wrong with it.
func identifier(h *pseudonym.Hasher, site string, n named, trust identity.Trust) (k request.Known, message string) {
	if !slices.Contains(ownKinds, n.kind) && !ofVendor.MatchString(string(n.kind)) {
		return k, "has a kind that does not exist: the kinds of single systems are written like refdesk.user_id"
	}
	if blanket(n.kind, n.value.Reveal()) {
		return k, "would match more than one person: wild cards, empty values and words for everybody are refused"
	}
	k.Identifier = identity.Identifier{Kind: n.kind, Value: redact.String(strings.TrimSpace(n.value.Reveal())), Trust: trust}
	normal, ok := k.Normal()
	if !ok {
		return k, unusable(n.kind)
	}
	k.Key = h.Identifier(site, string(n.kind), normal)
	return k, ""
}

var ownKinds = []identity.Kind{identity.Email, identity.Phone, identity.Name, identity.SubjectID, identity.ExternalID, identity.ChatID}

func unusable(kind identity.Kind) string {
	switch kind {
	case identity.Email:
		return "must be an e-mail address"
	case identity.Phone:
		return "must be a telephone number with the country's prefix, such as +33123456789"
	}
	return "must be up to 256 bytes of text on one line, without wild cards"
}
