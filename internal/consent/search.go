package consent

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/pseudonym"
	"github.com/avow-consent/avow/internal/redact"
)

// Field is a kind of text that subjects are searched by.
type Field string

// The fields of search entries.
const (
	FieldEmail Field = "e"
	FieldName  Field = "n"
	FieldPhone Field = "p"
	// FieldCarried holds, in place of a text, keyed hashes of e-mails that single
	// events state and that the view does not show.
	FieldCarried Field = "k"
)

// The bounds of what is searched for of one subject. Filters and search entries
// keep the same ones, so that an answer does not depend on how it was found.
const (
	MaxParts      = 8  // parts of the e-mail, parts of the names, and forms of phone numbers
	MaxTokenBytes = 64 // of a search entry
	MaxCarried    = 16 // e-mails that are not shown
	minTokenRunes = 2  // of a search entry: shorter ones would hold too many subjects
)

// Token is what one search entry of a subject is found by.
type Token struct {
	Field Field
	Text  redact.String
}

// tokens are the search entries of a subject, sorted and each once. A part of an
// e-mail or name runs from a place where a reader sees a word begin to the next
// dot or space, where queries are split: "ines@exa" and "exam" both find
// ines@example.test.
func tokens(v *SubjectView) []Token {
	var list []Token
	add := func(field Field, parts []string) {
		for _, p := range parts {
			if p = cut(p); utf8.RuneCountInString(p) >= minTokenRunes {
				list = append(list, Token{field, redact.String(p)})
			}
		}
	}
	add(FieldEmail, emailParts(v.Email))
	add(FieldName, nameParts(v.shownName()...))
	add(FieldName, firstOf(nameParts(v.FirstName)))
	add(FieldName, firstOf(nameParts(v.LastName)))
	add(FieldPhone, phoneForms(v.Phones))
	return sortTokens(list)
}

func sortTokens(list []Token) []Token {
	slices.SortFunc(list, func(a, b Token) int {
		return strings.Compare(string(a.Field)+a.Text.Reveal(), string(b.Field)+b.Text.Reveal())
	})
	return slices.Compact(list)
}

// EmailTokens are what the views are found by that show an e-mail, or that hold
// an event which states it: what a data-subject request looks for where the
// e-mail is hearsay. The first one is for those that show it; it finds others,
// too.
func EmailTokens(hasher *pseudonym.Hasher, site, email string) []Token {
	normal, ok := identity.NormalizeEmail(email)
	if !ok {
		return nil
	}
	var longest string
	for _, p := range emailParts(redact.String(normal)) {
		if p = cut(p); len(p) > len(longest) {
			longest = p
		}
	}
	list := []Token{carriedToken(hasher, site, normal)}
	if utf8.RuneCountInString(longest) >= minTokenRunes {
		list = append([]Token{{FieldEmail, redact.String(longest)}}, list...)
	}
	return list
}

func carriedToken(hasher *pseudonym.Hasher, site, normal string) Token {
	return Token{FieldCarried, redact.String(hasher.Identifier(site, string(identity.Email), normal))}
}

// carried are the tokens of e-mails that events of a partition state and that
// neither its view shows nor its own subject stands for. A public post may state
// any number of them: the latest count.
func carried(hasher *pseudonym.Hasher, v *SubjectView, events []Event) []Token {
	shown := identity.Fold(v.Email.Reveal()) // an address that reads otherwise than it is compared is not found by its parts
	latest := map[string]time.Time{}
	for i := range events {
		e := &events[i]
		if e.ErasedAt != nil || e.Subject != v.Subject || e.Profile.Email == nil {
			continue
		}
		normal, ok := identity.NormalizeEmail(e.Profile.Email.Value.Reveal())
		if !ok || identity.Fold(normal) == shown || hasher.EmailSubject(v.Site, normal) == v.SubjectID.Reveal() {
			continue
		}
		if e.Received.After(latest[normal]) {
			latest[normal] = e.Received
		}
	}
	order := slices.SortedFunc(maps.Keys(latest), func(a, b string) int {
		return cmp.Or(latest[b].Compare(latest[a]), strings.Compare(a, b))
	})
	var list []Token
	for _, normal := range order[:min(len(order), MaxCarried)] {
		list = append(list, carriedToken(hasher, v.Site, normal))
	}
	return list
}

// SearchToken is the beginning of the tokens that a term may be found by. ok is
// false for a term too short to be looked up.
func SearchToken(field Field, term string) (t Token, ok bool) {
	term = cut(term)
	return Token{field, redact.String(term)}, utf8.RuneCountInString(term) >= minTokenRunes
}

// cut shortens a text to MaxTokenBytes at the end of a character.
func cut(s string) string {
	if len(s) <= MaxTokenBytes {
		return s
	}
	n := MaxTokenBytes
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// splits is where queries are split, and where parts end.
func splits(r rune) bool { return r == '.' || unicode.IsSpace(r) }

// What parts begin behind, dots and spaces apart.
const (
	emailSeparators = "@+-_"
	nameSeparators  = "-'"
)

func emailParts(email redact.String) []string {
	return parts(identity.Fold(email.Reveal()), emailSeparators, nil)
}

// nameParts are the parts of several texts together.
func nameParts(names ...redact.String) []string {
	var list []string
	for _, n := range names {
		list = parts(identity.Fold(n.Reveal()), nameSeparators, list)
	}
	return list
}

func firstOf(list []string) []string { return list[:min(1, len(list))] }

// parts adds to a list what begins at the start of the text or behind a dot, a
// space or one of the separators, up to the next dot or space. What stands in
// the list already is not added, and no more than MaxParts are.
func parts(text, separators string, list []string) []string {
	for _, word := range strings.FieldsFunc(text, splits) {
		for start := 0; start < len(word); {
			if part := word[start:]; !strings.ContainsRune(separators, firstRune(part)) && !slices.Contains(list, part) {
				if len(list) == MaxParts {
					return list
				}
				list = append(list, part)
			}
			next := strings.IndexAny(word[start:], separators)
			if next < 0 {
				break
			}
			start += next + 1
		}
	}
	return list
}

func firstRune(s string) rune {
	r, _ := utf8.DecodeRuneInString(s)
	return r
}

// phoneForms are the digits of phone numbers: all of them and, where the number
// was typed with a country prefix and a space or sign behind it, those behind
// it.
func phoneForms(phones []Phone) []string {
	var list []string
	add := func(s string) {
		if s != "" && len(list) < MaxParts && !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	for _, p := range phones {
		number, international := strings.TrimSpace(p.Number.Reveal()), true
		switch {
		case strings.HasPrefix(number, "+"):
			number = number[1:]
		case strings.HasPrefix(number, "00"):
			number = number[2:]
		default:
			international = false
		}
		add(digits(number))
		if end := strings.IndexFunc(number, func(r rune) bool { return r < '0' || r > '9' }); international && end > 0 {
			add(digits(number[end:]))
		}
	}
	return list
}

func digits(s string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, s)
}

// SubjectFilter says which subjects are meant. The zero value means all; an
// empty field does not count.
type SubjectFilter struct {
	ID         redact.String
	EmailExact redact.String // as it is shown, upper and lower case told apart
	Email      redact.String // split on dots and spaces: one of these begins a part of the address
	FullName   redact.String // the same with the parts of the name
	FirstName  redact.String // exact
	LastName   redact.String // exact
	Phone      redact.String // digits only: those of a number, with or without its country prefix
	Verified   *bool
	From, To   time.Time // of Created, both included
}

// Match reports whether a subject is meant.
func (f *SubjectFilter) Match(v *SubjectView) bool {
	exact := func(want, have redact.String) bool { return want == "" || want == have }
	return exact(f.ID, v.SubjectID) &&
		exact(f.EmailExact, v.Email) && exact(f.FirstName, v.FirstName) && exact(f.LastName, v.LastName) &&
		(f.Verified == nil || *f.Verified == v.Verified) &&
		(f.From.IsZero() || !v.Created.Before(f.From)) && (f.To.IsZero() || !v.Created.After(f.To)) &&
		(f.Email == "" || begins(terms(f.Email, emailSeparators), emailParts(v.Email))) &&
		(f.FullName == "" || begins(terms(f.FullName, nameSeparators), nameParts(v.shownName()...))) &&
		(f.Phone == "" || equals(phoneTerm(f.Phone), phoneForms(v.Phones)))
}

// shownName is what a search for a name looks at: the full name or, where none
// was stated, first and last name.
func (v *SubjectView) shownName() []redact.String {
	if v.FullName != "" {
		return []redact.String{v.FullName}
	}
	return []redact.String{v.FirstName, v.LastName}
}

// begins reports whether one of the terms begins one of the parts.
func begins(terms, parts []string) bool {
	return slices.ContainsFunc(parts, func(p string) bool {
		return slices.ContainsFunc(terms, func(t string) bool { return strings.HasPrefix(p, t) })
	})
}

// equals reports whether one of the terms is one of the forms.
func equals(terms, forms []string) bool {
	return slices.ContainsFunc(terms, func(t string) bool { return slices.Contains(forms, t) })
}

// terms splits a query. What it begins with that no part begins with does not
// count ("@exam" is "exam"). A query without any term means nobody.
func terms(query redact.String, separators string) []string {
	var list []string
	for _, t := range strings.FieldsFunc(identity.Fold(query.Reveal()), splits) {
		if t = strings.TrimLeft(t, separators); t != "" {
			list = append(list, t)
		}
	}
	return list
}

// phoneTerm are the digits of a number that is looked for.
func phoneTerm(query redact.String) []string {
	return firstOf(phoneForms([]Phone{{Number: query}}))
}
