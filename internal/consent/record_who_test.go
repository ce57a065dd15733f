package consent_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/site"
)

// Whom a post is about (docs/architecture.md §3, "Who").
func TestRecord_subject(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	own := func(address string) string {
		return b.mustRecord(t, submission(public, "", address, "true")).SubjectID.Reveal()
	}
	ines := own("ines@example.test")
	if u, err := uuid.Parse(ines); err != nil || u.Version() != 8 {
		t.Errorf("the subject of an e-mail is %q, want a UUID", ines)
	}
	for name, tt := range map[string]struct {
		address string
		same    bool
	}{
		"white space":         {"  ines@example.test\t", true},
		"capital letters":     {"Ines@EXAMPLE.test", true},
		"dot":                 {"i.nes@example.test", false},
		"plus":                {"ines+shop@example.test", false},
		"other domain":        {"ines@example.org", false},
		"not an address":      {"ines at example.test", false},
		"no address, in case": {"INES", false},
	} {
		if same := own(tt.address) == ines; same != tt.same {
			t.Errorf("%s: the same subject: %v, want %v", name, same, tt.same)
		}
	}
	if own("ünal@bücher.test") != own("U\u0308NAL@xn--bcher-kva.test") {
		t.Error("composed and decomposed letters, Unicode and IDNA domain are two subjects")
	}
	first, second := own("ines at example.test"), own("ines at example.test")
	if first == second {
		t.Error("an address that cannot be one identifies somebody")
	}
	if e := b.event(t, b.mustRecord(t, submission(public, "", "ines at example.test", "true"))); e.Profile.Email.Value.Reveal() != "ines at example.test" {
		t.Error("an address that cannot be one is not kept as it was typed")
	}
	if id := b.mustRecord(t, submission(public, "cust-1", "ines@example.test", "true")).SubjectID; id != "cust-1" {
		t.Errorf("the id that was given became %q", id.Reveal())
	}
	s := submission(public, "", "", "true")
	s.IdempotencyKey = b.key(0)
	if one, two := b.mustRecord(t, s), b.mustRecord(t, s); one.SubjectID != two.SubjectID {
		t.Error("a retry of a visitor of whom nothing is known is about another subject")
	}
}

// The same e-mail and the same id are other subjects on another site.
func TestRecord_sitesApart(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	policy := b.Sites.Policy(b.site)
	policy.Site = "other"
	for name, s := range map[string]*consent.Submission{"e-mail": submission(public, "", "q@x.test", "true"), "id": submission(public, "cust-1", "", "true")} {
		s.IdempotencyKey = b.key(0)
		here := b.mustRecord(t, s)
		there, err := b.Recorder.Record(t.Context(), policy, s)
		if err != nil || here.ID == there.ID || name == "e-mail" && here.SubjectID == there.SubjectID {
			t.Errorf("by %s: %v, ids equal %v", name, err, here.ID == there.ID)
		}
	}
}

// A withdrawal in one form reaches the consent that was given in another, by
// whichever name one asks, from its acknowledgement on.
func TestRecord_withdrawalReachesThePerson(t *testing.T) {
	t.Parallel()
	const mail = "ines@example.test"
	for name, tt := range map[string]struct {
		posts []*consent.Submission // in this order, a minute apart
		want  []consent.Reason      // after each post, by id and by e-mail
	}{
		"given by id, withdrawn by e-mail": {
			posts: []*consent.Submission{submission(private, "cust-1", mail, "true"), submission(public, "", mail, "false")},
			want:  []consent.Reason{consent.Granted, consent.Withdrawn},
		},
		"given by e-mail, withdrawn by id": {
			posts: []*consent.Submission{submission(private, "cust-1", mail, "null"), submission(public, "", mail, "true"), submission(private, "cust-1", "", "false")},
			want:  []consent.Reason{consent.NeverAsked, consent.Granted, consent.Withdrawn},
		},
		"the binding comes with the withdrawal": {
			posts: []*consent.Submission{submission(private, "cust-1", mail, "false")},
			want:  []consent.Reason{consent.Refused},
		},
		"a proven no by id, a public yes by e-mail": {
			posts: []*consent.Submission{submission(private, "cust-1", mail, "false"), submission(public, "", mail, "true"), submission(public, "cust-1", "", "true"), submission(private, "", mail, "true")},
			want:  []consent.Reason{consent.Refused, consent.Unconfirmed, consent.Unconfirmed, consent.Granted},
		},
		"two ids under one e-mail": {
			posts: []*consent.Submission{submission(private, "cust-1", mail, "true"), submission(private, "cust-2", "INES@example.test", "false"), submission(public, "cust-1", "", "true")},
			want:  []consent.Reason{consent.Granted, consent.Withdrawn, consent.Unconfirmed},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBook(t)
			for i, s := range tt.posts {
				b.clock.advance(time.Minute)
				b.mustRecord(t, s)
				for door, state := range b.decide(t, "cust-1", mail, "news") {
					if state.Reason != tt.want[i] {
						t.Errorf("after post %d, by %s: %s, want %s", i+1, []string{"id", "e-mail"}[door], state.Reason, tt.want[i])
					}
				}
			}
		})
	}
}

// What a public key says of identity is hearsay: it changes nothing but what is
// shown in empty fields.
func TestRecord_publicIdentityIsHearsay(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	person := func(id string) consent.Person {
		u, err := consent.NewPeople(b.Events, b.Hasher).ByID(t.Context(), "shop", id, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		return consent.Fold(u.Events, consent.View{Now: b.clock.Now()}, consent.Rules{})
	}
	b.mustRecord(t, submission(private, "cust-1", "ines@example.test", "false"))
	b.mustRecord(t, submission(private, "cust-2", "leo@example.test", "true"))
	before := b.events(t)
	b.clock.advance(time.Minute)

	// Somebody says that cust-1 is leo, who has said yes, and verified.
	s := submission(public, "cust-1", "leo@example.test", "true")
	s.Profile.Verified = &consent.Flag{Value: true}
	s.Profile.FullName = &consent.Text{Value: "Leo"}
	b.mustRecord(t, s)
	if n := b.events(t); n != before+1 {
		t.Errorf("%d rows more: a public post has bound an e-mail", n-before)
	}
	p := person("cust-1")
	if p.Email != "ines@example.test" || p.Verified || p.FullName != "Leo" {
		t.Errorf("shown: %q, %v, %q", p.Email.Reveal(), p.Verified, p.FullName.Reveal())
	}
	for door, state := range b.decide(t, "cust-1", "ines@example.test", "news") {
		if state.Granted || state.Reason != consent.Unconfirmed {
			t.Errorf("door %d: %s", door, state.Reason)
		}
	}
	for door, state := range b.decide(t, "cust-2", "leo@example.test", "news") {
		if !state.Granted {
			t.Errorf("leo, door %d: %s", door, state.Reason)
		}
	}
}

// The answer to a public post is the same whether or not the person exists.
func TestRecord_answerTellsNothing(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	empty := newBook(t)
	b.mustRecord(t, submission(private, "cust-1", "ines@example.test", "false"))
	b.mustRecord(t, submission(private, "", "ines@example.test", "false"))
	for name, s := range map[string]*consent.Submission{
		"id": submission(public, "cust-1", "", "true"), "e-mail": submission(public, "", "ines@example.test", "true"),
		"both": submission(public, "cust-1", "ines@example.test", "true"),
	} {
		b, empty := b.instance(t), empty.instance(t)
		s.IdempotencyKey = b.key(0)
		known, unknown := b.mustRecord(t, s), empty.mustRecord(t, s)
		if !known.Timestamp.Equal(unknown.Timestamp) || (known.SubjectID == "cust-1") != (unknown.SubjectID == "cust-1") {
			t.Errorf("by %s: %+v for a known person, %+v for an unknown one", name, known, unknown)
		}
		if diff := cmp.Diff(empty.net.Counts(), b.net.Counts()); diff != "" {
			t.Errorf("by %s: other calls for a known person:\n%s", name, diff)
		}
	}
}

// Subject tokens, with the secret in Secrets Manager.
func TestRecord_token(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	one, two := b.putSecret(t, "k1", "secret of k1"), b.putSecret(t, "k2", "secret of k2")
	b.site.TokenKeys = []site.TokenKey{{ID: "k1", Secret: one}, {ID: "k2", Secret: two, Revoked: true}, {ID: "k3", Secret: one + "-missing"}}
	sign := func(key, secret, siteID, subject string, in time.Duration) string {
		return site.SignToken(key, []byte(secret), siteID, subject, b.clock.Now().Add(in))
	}
	for name, tt := range map[string]struct {
		token string
		want  consent.TokenState
	}{
		"none":            {"", ""},
		"holds":           {sign("k1", "secret of k1", "shop", "cust-1", time.Hour), consent.TokenValid},
		"expired":         {sign("k1", "secret of k1", "shop", "cust-1", 0), consent.TokenExpired},
		"other subject":   {sign("k1", "secret of k1", "shop", "cust-2", time.Hour), consent.TokenInvalid},
		"other site":      {sign("k1", "secret of k1", "other", "cust-1", time.Hour), consent.TokenInvalid},
		"other secret":    {sign("k1", "secret of k2", "shop", "cust-1", time.Hour), consent.TokenInvalid},
		"expired, forged": {sign("k1", "secret of k2", "shop", "cust-1", -time.Hour), consent.TokenInvalid},
		"revoked key":     {sign("k2", "secret of k2", "shop", "cust-1", time.Hour), consent.TokenInvalid},
		"no such key":     {sign("k9", "secret of k1", "shop", "cust-1", time.Hour), consent.TokenInvalid},
		"secret is gone":  {sign("k3", "", "shop", "cust-1", time.Hour), consent.TokenInvalid},
		"malformed":       {"v1.k1.x.y", consent.TokenInvalid},
		"not a token":     {"eyJhbGciOi", consent.TokenInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := submission(public, "cust-1", "", "true")
			s.Token = tt.token
			if e := b.event(t, b.mustRecord(t, s)); e.Token != tt.want {
				t.Errorf("token %q, want %q", e.Token, tt.want)
			}
		})
	}
}

// What a token opens, end to end; and a retry after its expiry is still the same
// request.
func TestRecord_tokenVouches(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	b.site.TokenKeys = []site.TokenKey{{ID: "k1", Secret: b.putSecret(t, "k1", "s")}}
	b.mustRecord(t, submission(private, "cust-1", "", "false"))
	b.clock.advance(time.Minute)
	s := submission(public, "cust-1", "", "true")
	s.IdempotencyKey = b.key(0)
	s.Token = site.SignToken("k1", []byte("s"), "shop", "cust-1", b.clock.Now().Add(time.Minute))
	first := b.mustRecord(t, s)
	if state := b.decide(t, "cust-1", "", "news")[0]; !state.Granted {
		t.Errorf("with a token that holds: %s", state.Reason)
	}
	b.clock.advance(time.Hour)
	if again := b.mustRecord(t, s); again != first {
		t.Errorf("a retry after the token's expiry: %+v, want %+v", again, first)
	}
	if state := b.decide(t, "cust-1", "", "news")[0]; !state.Granted {
		t.Errorf("after the retry: %s", state.Reason)
	}
}

// A signal objects to what the register flags, also where nothing was ticked.
func TestRecord_signal(t *testing.T) {
	t.Parallel()
	b := newBook(t, func(s *site.Site) {
		s.Register = []site.Purpose{{Key: "news"}, {Key: "sale", SaleOrSharing: true}}
	})
	for name, signal := range map[string]func(*consent.Submission){
		"in the body":   func(s *consent.Submission) { s.GPC = true },
		"in the header": func(s *consent.Submission) { s.SignalGPC = true },
	} {
		s := submission(public, name, "", "true")
		s.Preferences = append(s.Preferences, consent.Preference{Key: "sale", Value: "true"})
		signal(s)
		b.mustRecord(t, s)
		if news, sale := b.decide(t, name, "", "news")[0], b.decide(t, name, "", "sale")[0]; !news.Granted || sale.Granted {
			t.Errorf("%s: news %s, sale %s", name, news.Reason, sale.Reason)
		}
	}
}

// A token that cannot be judged is no reason to store the post without it.
func TestRecord_tokenCannotBeJudged(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	policy := b.Sites.Policy(b.site)
	policy.VerifyToken = func(_ context.Context, _, _ string, _ time.Time) (consent.TokenState, error) {
		return "", errs.New(errs.Unavailable, "secretsmanager GetSecretValue: no answer")
	}
	s := submission(public, "cust-1", "", "true")
	s.Token = "v1.k.1.x"
	if _, err := b.Recorder.Record(t.Context(), policy, s); !errs.Is(err, errs.Unavailable) || b.events(t) != 0 {
		t.Errorf("%v, %d rows", err, b.events(t))
	}
}
