package consent

import (
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/redact"
)

func plain(list []Token) []string {
	var out []string
	for _, t := range list {
		out = append(out, string(t.Field)+":"+t.Text.Reveal())
	}
	return out
}

func TestTokens(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		view SubjectView
		want []string
	}{
		"nothing": {},
		"e-mail":  {SubjectView{Email: "I.Roca+shop@Mail.Example.test"}, []string{"e:example", "e:mail", "e:roca+shop@mail", "e:shop@mail", "e:test"}},
		"not an address": {
			SubjectView{Email: "  @@ ines roca"}, []string{"e:ines", "e:roca"},
		},
		"full name":            {SubjectView{FullName: "Jean-Pierre O’Neil"}, []string{"n:jean-pierre", "n:neil", "n:o'neil", "n:pierre"}},
		"first and last name":  {SubjectView{FirstName: "Inés", LastName: "Roca Díaz"}, []string{"n:díaz", "n:inés", "n:roca"}},
		"all three names":      {SubjectView{FullName: "Inés Roca", FirstName: "Nita", LastName: "Roca Díaz"}, []string{"n:inés", "n:nita", "n:roca"}},
		"phones":               {SubjectView{Phones: []Phone{{Number: "+39 333 12-34"}, {Number: "0033 6 12"}, {Number: "333 12 34"}, {Number: "+4155512"}, {Number: "x"}}}, []string{"p:3331234", "p:33612", "p:393331234", "p:4155512", "p:612"}},
		"one character is not": {SubjectView{FullName: "J R"}, nil},
		"cut at a character":   {SubjectView{FullName: redact.String(strings.Repeat("é", 60))}, []string{"n:" + strings.Repeat("é", 32)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, plain(tokens(&tt.view))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestMatch(t *testing.T) {
	t.Parallel()
	day := func(d int) time.Time { return time.Date(2026, 2, d, 0, 0, 0, 0, time.UTC) }
	yes, no := true, false
	v := &SubjectView{
		SubjectID: "cust-881", Created: day(3), Email: "i.Roca+shop@Example.test", FirstName: "Inés", LastName: "Roca",
		FullName: "Inés Roca-Díaz", Verified: true, Phones: []Phone{{Number: "+39 333 1234"}},
	}
	for name, tt := range map[string]struct {
		filter SubjectFilter
		want   bool
	}{
		"everybody":                     {SubjectFilter{}, true},
		"id":                            {SubjectFilter{ID: "cust-881"}, true},
		"other id":                      {SubjectFilter{ID: "CUST-881"}, false},
		"exact e-mail":                  {SubjectFilter{EmailExact: "i.Roca+shop@Example.test"}, true},
		"exact e-mail, other case":      {SubjectFilter{EmailExact: "i.roca+shop@example.test"}, false},
		"start of e-mail":               {SubjectFilter{Email: "I"}, true},
		"start of a part":               {SubjectFilter{Email: "roca"}, true},
		"across a separator":            {SubjectFilter{Email: "ROCA+shop@exa"}, true},
		"a leading separator":           {SubjectFilter{Email: "@exam"}, true},
		"not the middle of a part":      {SubjectFilter{Email: "oca"}, false},
		"one of two terms":              {SubjectFilter{Email: "nobody test"}, true},
		"dots split, one is enough":     {SubjectFilter{Email: "nobody.exam"}, true},
		"no term":                       {SubjectFilter{Email: " . "}, false},
		"e-mail is not a name":          {SubjectFilter{FullName: "example"}, false},
		"name is not an e-mail":         {SubjectFilter{Email: "díaz"}, false},
		"part of the name":              {SubjectFilter{FullName: "DÍAZ"}, true},
		"decomposed accent":             {SubjectFilter{FullName: "ine\u0301s"}, true},
		"without accent is another":     {SubjectFilter{FullName: "ines"}, false},
		"across the hyphen":             {SubjectFilter{FullName: "roca-d"}, true},
		"first name":                    {SubjectFilter{FirstName: "Inés"}, true},
		"first name, other case":        {SubjectFilter{FirstName: "inés"}, false},
		"last name":                     {SubjectFilter{LastName: "Roca"}, true},
		"part of the last name":         {SubjectFilter{LastName: "Roc"}, false},
		"verified":                      {SubjectFilter{Verified: &yes}, true},
		"not verified":                  {SubjectFilter{Verified: &no}, false},
		"phone":                         {SubjectFilter{Phone: "+393331234"}, true},
		"phone with 00":                 {SubjectFilter{Phone: "0039 333 12 34"}, true},
		"phone without country prefix":  {SubjectFilter{Phone: "333-1234"}, true},
		"part of a phone":               {SubjectFilter{Phone: "333123"}, false},
		"phone without digits":          {SubjectFilter{Phone: "+"}, false},
		"from, included":                {SubjectFilter{From: day(3)}, true},
		"to, included":                  {SubjectFilter{To: day(3)}, true},
		"from later":                    {SubjectFilter{From: day(3).Add(time.Millisecond)}, false},
		"to earlier":                    {SubjectFilter{To: day(2)}, false},
		"two filters, one does not fit": {SubjectFilter{Email: "roca", LastName: "Other"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := tt.filter.Match(v); got != tt.want {
				t.Errorf("Match = %v, want %v", got, tt.want)
			}
		})
	}
	t.Run("first and last name stand for the full one", func(t *testing.T) {
		t.Parallel()
		if !(&SubjectFilter{FullName: "roca"}).Match(&SubjectView{LastName: "Roca"}) {
			t.Error("no match")
		}
	})
}

// FuzzTokens: tokens are bounded and can be stored, and whatever a filter means
// is found by the token of each of its terms.
func FuzzTokens(f *testing.F) {
	f.Add("i.Roca+shop@Example.test", "Inés Roca-Díaz", "+39 333 1234", "roca")
	f.Add("@@", "’’ - '", "00", "@ . -")
	f.Add(strings.Repeat("a.", 100), strings.Repeat("é", 100), "++", strings.Repeat("é", 40))
	f.Add("a\xff@b", "\u0301e İ ß", "0\x00", "\xff")
	f.Fuzz(func(t *testing.T, email, name, phone, term string) {
		v := &SubjectView{Email: redact.String(email), FullName: redact.String(name), FirstName: redact.String(name), Phones: []Phone{{Number: redact.String(phone)}}}
		list := tokens(v)
		if len(list) > 3*MaxParts+2 {
			t.Errorf("%d tokens", len(list))
		}
		for _, token := range list {
			text := token.Text.Reveal()
			if n := utf8.RuneCountInString(text); n < minTokenRunes || len(text) > MaxTokenBytes || !utf8.ValidString(text) {
				t.Errorf("token %q", text)
			}
		}
		found := func(field Field, terms []string) bool {
			return slices.ContainsFunc(terms, func(term string) bool {
				prefix, ok := SearchToken(field, term)
				return !ok || slices.ContainsFunc(list, func(x Token) bool {
					return x.Field == field && strings.HasPrefix(x.Text.Reveal(), prefix.Text.Reveal())
				})
			})
		}
		for field, filter := range map[Field]*SubjectFilter{
			FieldEmail: {Email: redact.String(term)}, FieldName: {FullName: redact.String(term)}, FieldPhone: {Phone: redact.String(term)},
		} {
			words := map[Field][]string{
				FieldEmail: terms(filter.Email, emailSeparators), FieldName: terms(filter.FullName, nameSeparators), FieldPhone: phoneTerm(filter.Phone),
			}
			if *filter != (SubjectFilter{}) && filter.Match(v) && !found(field, words[field]) {
				t.Errorf("%q matches but is not found by %q", term, plain(list))
			}
		}
		// What a person would type from the beginning of the address finds it.
		if parts := emailParts(v.Email); len(parts) > 0 && !(&SubjectFilter{Email: redact.String(parts[0])}).Match(v) {
			t.Errorf("%q does not find %q", parts[0], email)
		}
	})
}
