package consent_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/redact"
)

// said is an event at a minute that states one preference, "news".
func said(id string, at int, source consent.Source, value string, more ...func(*consent.Event)) consent.Event {
	e := consent.Event{
		ID: id, Kind: consent.KindConsent, Source: source, Act: consent.WebForm,
		Claimed: minute(at), Received: minute(at),
		Preferences: []consent.Preference{{Key: "news", Value: value}},
	}
	for _, change := range more {
		change(&e)
	}
	return e
}

func received(at int) func(*consent.Event) {
	return func(e *consent.Event) { e.Received = minute(at) }
}
func corrected(at int) func(*consent.Event) {
	return func(e *consent.Event) { e.Corrected = minutePtr(at) }
}
func token(s consent.TokenState) func(*consent.Event) {
	return func(e *consent.Event) { e.Token = s }
}
func expires(at int) func(*consent.Event) {
	return func(e *consent.Event) { e.ExpiresAt = minutePtr(at) }
}
func imported(e *consent.Event) { e.Act = consent.Import }
func objecting(e *consent.Event) {
	e.GPC, e.Objected = true, []string{"news"}
}
func subjectEvent(e *consent.Event) { e.Kind = consent.KindSubject }
func erased(e *consent.Event) {
	*e = consent.Event{ID: e.ID, ErasedAt: minutePtr(9)}
}

const (
	public    = consent.Public
	private   = consent.Private
	confirmed = consent.Confirmed
)

func TestDecide_rules(t *testing.T) {
	t.Parallel()
	latest := consent.Rules{Latest: true}
	for name, tt := range map[string]struct {
		events []consent.Event
		rules  consent.Rules
		view   consent.View
		reason consent.Reason
		ids    []string // the events that decide
	}{
		"nothing said":                  {reason: consent.NeverAsked},
		"a yes":                         {events: []consent.Event{said("a", 1, public, "true")}, reason: consent.Granted, ids: []string{"a"}},
		"a no":                          {events: []consent.Event{said("a", 1, public, "false")}, reason: consent.Refused, ids: []string{"a"}},
		"a no after a yes":              {events: []consent.Event{said("a", 1, public, "true"), said("b", 2, public, "false")}, reason: consent.Withdrawn, ids: []string{"b"}},
		"a yes after a no":              {events: []consent.Event{said("a", 1, public, "false"), said("b", 2, public, "true")}, reason: consent.Granted, ids: []string{"b"}},
		"null states nothing":           {events: []consent.Event{said("a", 1, public, "true"), said("b", 2, public, "null")}, reason: consent.Granted, ids: []string{"a"}},
		"only null":                     {events: []consent.Event{said("a", 1, public, "null")}, reason: consent.NeverAsked},
		"neither yes nor no":            {events: []consent.Event{said("a", 1, public, "true"), said("b", 2, public, `"weekly"`)}, reason: consent.NotBoolean, ids: []string{"b"}},
		"about a subject":               {events: []consent.Event{said("a", 1, private, "true", subjectEvent)}, reason: consent.NeverAsked},
		"tombstone":                     {events: []consent.Event{said("a", 1, public, "true"), said("b", 2, public, "false", erased)}, reason: consent.Granted, ids: []string{"a"}},
		"tie: no wins":                  {events: []consent.Event{said("a", 1, public, "false"), said("b", 1, public, "true")}, reason: consent.Withdrawn, ids: []string{"a"}},
		"tie of two yes: id":            {events: []consent.Event{said("b", 1, public, "true"), said("a", 1, public, "true")}, reason: consent.Granted, ids: []string{"b"}},
		"tie of two no: id":             {events: []consent.Event{said("b", 1, public, "false"), said("a", 1, public, "0")}, reason: consent.Refused, ids: []string{"b"}},
		"tie: private yes, public no":   {events: []consent.Event{said("b", 1, private, "true"), said("a", 1, public, "false")}, reason: consent.Withdrawn, ids: []string{"a"}},
		"tie: private no, public yes":   {events: []consent.Event{said("a", 1, private, "false"), said("b", 1, public, "true")}, reason: consent.Unconfirmed, ids: []string{"a", "b"}},
		"tie of private ones: no rules": {events: []consent.Event{said("a", 1, private, "false"), said("b", 1, private, "true"), said("c", 2, public, "true")}, reason: consent.Unconfirmed, ids: []string{"a", "c"}},

		"public yes after private no":             {events: []consent.Event{said("a", 1, private, "false"), said("b", 2, public, "true")}, reason: consent.Unconfirmed, ids: []string{"a", "b"}},
		"public yes after private not-boolean":    {events: []consent.Event{said("a", 1, private, `"never"`), said("b", 2, public, "true")}, reason: consent.Unconfirmed, ids: []string{"a", "b"}},
		"public yes after private no, latest":     {events: []consent.Event{said("a", 1, private, "false"), said("b", 2, public, "true")}, rules: latest, reason: consent.Granted, ids: []string{"b"}},
		"public yes after private yes":            {events: []consent.Event{said("a", 1, private, "true"), said("b", 2, public, "true")}, reason: consent.Granted, ids: []string{"b"}},
		"public no after private yes":             {events: []consent.Event{said("a", 1, private, "true"), said("b", 2, public, "false")}, reason: consent.Withdrawn, ids: []string{"b"}},
		"public yes before private no":            {events: []consent.Event{said("a", 1, public, "true"), said("b", 2, private, "false")}, reason: consent.Withdrawn, ids: []string{"b"}},
		"laundering through a public no":          {events: []consent.Event{said("a", 1, private, "false"), said("b", 2, public, "false"), said("c", 3, public, "true")}, reason: consent.Unconfirmed, ids: []string{"b", "c"}},
		"laundering through a public yes":         {events: []consent.Event{said("a", 1, private, "false"), said("b", 2, public, "true"), said("c", 3, public, "true")}, reason: consent.Unconfirmed, ids: []string{"a", "c"}},
		"laundering through a public not-boolean": {events: []consent.Event{said("a", 1, private, "false"), said("b", 2, public, `"x"`), said("c", 3, public, "true")}, reason: consent.Unconfirmed, ids: []string{"b", "c"}},
		"public no after an unconfirmed yes":      {events: []consent.Event{said("a", 1, private, "false"), said("b", 2, public, "true"), said("c", 3, public, "false")}, reason: consent.Refused, ids: []string{"c"}},
		"later private yes":                       {events: []consent.Event{said("a", 1, private, "false"), said("b", 2, public, "true"), said("c", 3, private, "true")}, reason: consent.Granted, ids: []string{"c"}},
		"public yes after a later private yes":    {events: []consent.Event{said("a", 1, private, "false"), said("b", 2, private, "true"), said("c", 3, public, "true")}, reason: consent.Granted, ids: []string{"c"}},
		"confirmed no":                            {events: []consent.Event{said("a", 1, confirmed, "false"), said("b", 2, public, "true")}, reason: consent.Unconfirmed, ids: []string{"a", "b"}},
		"confirmed yes":                           {events: []consent.Event{said("a", 1, private, "false"), said("b", 2, confirmed, "true")}, reason: consent.Granted, ids: []string{"b"}},
		"private null does not open the way":      {events: []consent.Event{said("a", 1, private, "false"), said("b", 2, private, "null"), said("c", 3, public, "true")}, reason: consent.Unconfirmed, ids: []string{"a", "c"}},
		"private about another preference":        {events: []consent.Event{said("a", 1, private, "false"), said("b", 2, private, "true", func(e *consent.Event) { e.Preferences[0].Key = "ads" }), said("c", 3, public, "true")}, reason: consent.Unconfirmed, ids: []string{"a", "c"}},

		"token that holds":                 {events: []consent.Event{said("a", 1, private, "false"), said("b", 2, public, "true", token(consent.TokenValid))}, reason: consent.Granted, ids: []string{"b"}},
		"token that has expired":           {events: []consent.Event{said("a", 1, private, "false"), said("b", 2, public, "true", token(consent.TokenExpired))}, reason: consent.Unconfirmed, ids: []string{"a", "b"}},
		"token that does not hold":         {events: []consent.Event{said("a", 1, private, "false"), said("b", 2, public, "true", token(consent.TokenInvalid))}, reason: consent.Unconfirmed, ids: []string{"a", "b"}},
		"a token vouches for its own post": {events: []consent.Event{said("a", 1, private, "false"), said("b", 2, public, "true", token(consent.TokenValid)), said("c", 3, public, "false"), said("d", 4, public, "true")}, reason: consent.Unconfirmed, ids: []string{"c", "d"}},
		"no with a token":                  {events: []consent.Event{said("a", 1, private, "true"), said("b", 2, public, "false", token(consent.TokenValid)), said("c", 3, public, "true")}, reason: consent.Granted, ids: []string{"c"}},

		"signal beats the tick in the same post":  {events: []consent.Event{said("a", 1, public, "true", objecting)}, reason: consent.Refused, ids: []string{"a"}},
		"signal beats a value that is not a yes":  {events: []consent.Event{said("a", 1, public, `"weekly"`, objecting)}, reason: consent.Refused, ids: []string{"a"}},
		"signal objects where nothing was stated": {events: []consent.Event{said("a", 1, public, "true"), said("b", 2, public, "null", objecting)}, reason: consent.Withdrawn, ids: []string{"b"}},
		"a tick after the signal":                 {events: []consent.Event{said("a", 1, public, "null", objecting), said("b", 2, public, "true")}, reason: consent.Granted, ids: []string{"b"}},

		"expired":                        {events: []consent.Event{said("a", 1, public, "true", expires(4))}, view: consent.View{Now: minute(4)}, reason: consent.Expired, ids: []string{"a"}},
		"not yet expired":                {events: []consent.Event{said("a", 1, public, "true", expires(4))}, view: consent.View{Now: minute(4).Add(-1)}, reason: consent.Granted, ids: []string{"a"}},
		"validity over":                  {events: []consent.Event{said("a", 1, public, "true")}, rules: validity(3), view: consent.View{Now: minute(4)}, reason: consent.Expired, ids: []string{"a"}},
		"validity not over":              {events: []consent.Event{said("a", 1, public, "true")}, rules: validity(3), view: consent.View{Now: minute(4).Add(-1)}, reason: consent.Granted, ids: []string{"a"}},
		"the earlier of both":            {events: []consent.Event{said("a", 1, public, "true", expires(9))}, rules: validity(3), view: consent.View{Now: minute(5)}, reason: consent.Expired, ids: []string{"a"}},
		"a no does not expire":           {events: []consent.Event{said("a", 1, public, "true"), said("b", 2, public, "false", expires(3))}, rules: validity(1), view: consent.View{Now: minute(9)}, reason: consent.Withdrawn, ids: []string{"b"}},
		"what has expired hides no no":   {events: []consent.Event{said("a", 1, private, "false"), said("b", 2, private, "true", expires(3))}, view: consent.View{Now: minute(9)}, reason: consent.Expired, ids: []string{"b"}},
		"expired by now, not then":       {events: []consent.Event{said("a", 1, public, "true", expires(4))}, view: consent.View{Now: minute(9), At: minute(3)}, reason: consent.Granted, ids: []string{"a"}},
		"a new yes after an expired one": {events: []consent.Event{said("a", 1, public, "true", expires(2)), said("b", 3, public, "true")}, view: consent.View{Now: minute(9)}, reason: consent.Granted, ids: []string{"b"}},

		"at: before the no":                     {events: []consent.Event{said("a", 1, public, "true"), said("b", 5, public, "false")}, view: consent.View{Now: minute(9), At: minute(4)}, reason: consent.Granted, ids: []string{"a"}},
		"at: the instant of the no":             {events: []consent.Event{said("a", 1, public, "true"), said("b", 5, public, "false")}, view: consent.View{Now: minute(9), At: minute(5)}, reason: consent.Withdrawn, ids: []string{"b"}},
		"at: before everything":                 {events: []consent.Event{said("a", 1, public, "true")}, view: consent.View{Now: minute(9), At: minute(0)}, reason: consent.NeverAsked},
		"known at: a paper not yet known":       {events: []consent.Event{said("a", 1, public, "true"), said("b", 2, private, "false", received(8))}, view: consent.View{Now: minute(9), At: minute(5), KnownAt: minute(5)}, reason: consent.Granted, ids: []string{"a"}},
		"known now: the paper counts from then": {events: []consent.Event{said("a", 1, public, "true"), said("b", 2, private, "false", received(8))}, view: consent.View{Now: minute(9), At: minute(5)}, reason: consent.Withdrawn, ids: []string{"b"}},
		"ahead of this instance's clock":        {events: []consent.Event{said("a", 1, public, "true"), said("b", 5, public, "false")}, view: consent.View{Now: minute(2)}, reason: consent.Withdrawn, ids: []string{"b"}},

		"queue: a late public no counts from its receipt":   {events: []consent.Event{said("a", 5, public, "true"), said("b", 2, public, "false", received(7))}, reason: consent.Withdrawn, ids: []string{"b"}},
		"queue: a late public yes counts from its act":      {events: []consent.Event{said("a", 5, public, "false"), said("b", 2, public, "true", received(7))}, reason: consent.Withdrawn, ids: []string{"a"}},
		"queue, corrected: a late no counts from its act":   {events: []consent.Event{said("a", 5, public, "true"), said("b", 2, public, "false", received(7), corrected(2))}, reason: consent.Granted, ids: []string{"a"}},
		"queue, corrected: slow clock":                      {events: []consent.Event{said("a", 5, public, "false"), said("b", 2, public, "true", received(7), corrected(6))}, reason: consent.Granted, ids: []string{"b"}},
		"queue: a late private no counts from its act":      {events: []consent.Event{said("a", 5, public, "true"), said("b", 2, private, "false", received(7))}, reason: consent.Unconfirmed, ids: []string{"b", "a"}},
		"import of a public no counts from its claimed day": {events: []consent.Event{said("a", 5, public, "true"), said("b", 2, public, "false", received(7), imported)}, reason: consent.Granted, ids: []string{"a"}},
		"import of a public yes is guarded":                 {events: []consent.Event{said("a", 1, private, "false"), said("b", 2, public, "true", received(7), imported)}, reason: consent.Unconfirmed, ids: []string{"a", "b"}},
		"import of a private yes is not":                    {events: []consent.Event{said("a", 1, private, "false"), said("b", 2, private, "true", received(7), imported)}, reason: consent.Granted, ids: []string{"b"}},
		"backdated yes before the private no":               {events: []consent.Event{said("a", 5, private, "false"), said("b", 2, public, "true", received(7))}, reason: consent.Withdrawn, ids: []string{"a"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tt.view.Now.IsZero() {
				tt.view.Now = minute(10)
			}
			for range 2 {
				state := consent.Decide(tt.events, "news", tt.view, tt.rules)
				if state.Reason != tt.reason || state.Granted != (tt.reason == consent.Granted) {
					t.Errorf("granted %v, reason %s; want %s", state.Granted, state.Reason, tt.reason)
				}
				if diff := cmp.Diff(tt.ids, state.ConsentIDs); diff != "" {
					t.Errorf("deciding events (-want +got):\n%s", diff)
				}
				reverse(tt.events) // arrival in the other order
			}
		})
	}
}

func reverse(events []consent.Event) {
	for i, j := 0, len(events)-1; i < j; i, j = i+1, j-1 {
		events[i], events[j] = events[j], events[i]
	}
}

func validity(minutes int) consent.Rules {
	return consent.Rules{Validity: map[string]time.Duration{"news": time.Duration(minutes) * time.Minute}}
}

func TestDecide_values(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]consent.Reason{
		`true`: consent.Granted, `"true"`: consent.Granted, `1`: consent.Granted, `"1"`: consent.Granted,
		`"on"`: consent.Granted, `"yes"`: consent.Granted,
		`false`: consent.Refused, `"false"`: consent.Refused, `0`: consent.Refused, `"0"`: consent.Refused,
		`"off"`: consent.Refused, `"no"`: consent.Refused,
		`null`:   consent.NeverAsked,
		`"TRUE"`: consent.NotBoolean, `"On"`: consent.NotBoolean, `"Yes"`: consent.NotBoolean, `" true"`: consent.NotBoolean,
		`""`: consent.NotBoolean, `2`: consent.NotBoolean, `1.0`: consent.NotBoolean, `-1`: consent.NotBoolean,
		`"checked"`: consent.NotBoolean, `"null"`: consent.NotBoolean, `{}`: consent.NotBoolean, `[]`: consent.NotBoolean,
		`{"value":true}`: consent.NotBoolean, `[true]`: consent.NotBoolean, `"\u0074rue"`: consent.NotBoolean,
	} {
		t.Run(value, func(t *testing.T) {
			t.Parallel()
			state := consent.Decide([]consent.Event{said("a", 1, public, value)}, "news", consent.View{Now: minute(2)}, consent.Rules{})
			if state.Reason != want || state.Granted != (want == consent.Granted) {
				t.Errorf("granted %v, reason %s; want %s", state.Granted, state.Reason, want)
			}
			if want != consent.NeverAsked && state.Value != value {
				t.Errorf("value %s, want the text as it came: %s", state.Value, value)
			}
		})
	}
}

func TestEvent_effective(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		event   consent.Event
		yes, no int // minutes
	}{
		"public":                          {said("a", 2, public, ""), 2, 2},
		"public, delivered late":          {said("a", 2, public, "", received(7)), 2, 7},
		"public, corrected":               {said("a", 2, public, "", received(7), corrected(4)), 4, 4},
		"public, claimed after receipt":   {said("a", 7, public, "", received(2)), 2, 2},
		"private":                         {said("a", 2, private, "", received(7)), 2, 2},
		"private, claimed after receipt":  {said("a", 7, private, "", received(2)), 2, 2},
		"confirmed":                       {said("a", 2, confirmed, "", received(7)), 2, 2},
		"import of a public one":          {said("a", 2, public, "", received(7), imported), 2, 2},
		"import of a private one":         {said("a", 2, private, "", received(7), imported), 2, 2},
		"import, claimed after receipt":   {said("a", 7, public, "", received(2), imported), 2, 2},
		"token does not change the times": {said("a", 2, public, "", received(7), token(consent.TokenValid)), 2, 7},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := tt.event.Effective(true); !got.Equal(minute(tt.yes)) {
				t.Errorf("a yes takes effect at %v, want minute %d", got, tt.yes)
			}
			if got := tt.event.Effective(false); !got.Equal(minute(tt.no)) {
				t.Errorf("a no takes effect at %v, want minute %d", got, tt.no)
			}
		})
	}
}

// profiled is an event at a minute with a profile and no preference.
func profiled(id string, at int, source consent.Source, p consent.Profile) consent.Event {
	return consent.Event{ID: id, Kind: consent.KindSubject, Source: source, Claimed: minute(at), Received: minute(at), Profile: p}
}

func email(s string) consent.Profile {
	return consent.Profile{Email: &consent.Text{Value: redact.String(s)}}
}

var noEmail = consent.Profile{Email: &consent.Text{Null: true}}

func TestFold_emailProvenance(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		events []consent.Event
		want   string
	}{
		"public fills what is empty":                {[]consent.Event{profiled("a", 1, public, email("p"))}, "p"},
		"public does not overwrite":                 {[]consent.Event{profiled("a", 1, private, email("q")), profiled("b", 2, public, email("p"))}, "q"},
		"private overwrites":                        {[]consent.Event{profiled("a", 2, public, email("p")), profiled("b", 1, private, email("q"))}, "q"},
		"confirmed is as good as private":           {[]consent.Event{profiled("a", 1, private, email("q")), profiled("b", 2, confirmed, email("c"))}, "c"},
		"confirmed is no better than private":       {[]consent.Event{profiled("a", 2, private, email("q")), profiled("b", 1, confirmed, email("c"))}, "q"},
		"latest of the private ones":                {[]consent.Event{profiled("a", 3, private, email("q")), profiled("b", 2, private, email("r"))}, "q"},
		"same time: id":                             {[]consent.Event{profiled("b", 1, private, email("q")), profiled("a", 1, private, email("r"))}, "q"},
		"latest of the public ones":                 {[]consent.Event{profiled("a", 3, public, email("p")), profiled("b", 2, public, email("o"))}, "p"},
		"private null clears":                       {[]consent.Event{profiled("a", 1, private, email("q")), profiled("b", 2, private, noEmail)}, ""},
		"private null stands against public values": {[]consent.Event{profiled("a", 1, private, noEmail), profiled("b", 2, public, email("p"))}, ""},
		"earlier null":                              {[]consent.Event{profiled("a", 1, private, noEmail), profiled("b", 2, private, email("q"))}, "q"},
		"public null does not clear private":        {[]consent.Event{profiled("a", 1, private, email("q")), profiled("b", 2, public, noEmail)}, "q"},
		"public null clears public":                 {[]consent.Event{profiled("a", 1, public, email("p")), profiled("b", 2, public, noEmail)}, ""},
		"nothing stated":                            {[]consent.Event{profiled("a", 1, private, email("q")), profiled("b", 2, private, consent.Profile{})}, "q"},
		"tombstone":                                 {[]consent.Event{profiled("a", 1, public, email("p")), {ID: "b", ErasedAt: minutePtr(3), Profile: email("x")}}, "p"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for range 2 {
				if got := consent.Fold(tt.events, consent.View{Now: minute(9)}, consent.Rules{}).Email.Reveal(); got != tt.want {
					t.Errorf("e-mail %q, want %q", got, tt.want)
				}
				reverse(tt.events)
			}
		})
	}
}

func TestFold_verified(t *testing.T) {
	t.Parallel()
	yes, no, null := consent.Profile{Verified: &consent.Flag{Value: true}}, consent.Profile{Verified: &consent.Flag{}}, consent.Profile{Verified: &consent.Flag{Null: true}}
	for name, tt := range map[string]struct {
		events []consent.Event
		want   bool
	}{
		"private":                       {[]consent.Event{profiled("a", 1, private, yes)}, true},
		"confirmed":                     {[]consent.Event{profiled("a", 1, confirmed, yes)}, true},
		"public":                        {[]consent.Event{profiled("a", 1, public, yes)}, false},
		"public does not take it away":  {[]consent.Event{profiled("a", 1, private, yes), profiled("b", 2, public, no)}, true},
		"private takes it away":         {[]consent.Event{profiled("a", 1, private, yes), profiled("b", 2, private, no)}, false},
		"private null takes it away":    {[]consent.Event{profiled("a", 1, private, yes), profiled("b", 2, private, null)}, false},
		"silence does not take it away": {[]consent.Event{profiled("a", 1, private, yes), profiled("b", 2, private, email("q"))}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := consent.Fold(tt.events, consent.View{Now: minute(9)}, consent.Rules{}).Verified; got != tt.want {
				t.Errorf("verified %v, want %v", got, tt.want)
			}
		})
	}
}

// Each field has its own provenance.
func TestFold_fieldsApart(t *testing.T) {
	t.Parallel()
	text := func(s string) *consent.Text { return &consent.Text{Value: redact.String(s)} }
	phones := func(s string) *consent.Phones {
		return &consent.Phones{List: []consent.Phone{{Number: redact.String(s), Label: "home"}}}
	}
	got := consent.Fold([]consent.Event{
		profiled("a", 1, private, consent.Profile{Email: text("q@x.test"), FirstName: text("Ines")}),
		profiled("b", 2, public, consent.Profile{Email: text("p@x.test"), FirstName: text("X"), LastName: text("Y"), Phones: phones("+1")}),
		profiled("c", 3, private, consent.Profile{FullName: text("Ines Roca")}),
		profiled("d", 4, public, consent.Profile{FullName: text("Z"), Phones: phones("+2")}),
		profiled("e", 5, private, consent.Profile{Phones: &consent.Phones{Null: true}, LastName: text("Roca")}),
	}, consent.View{Now: minute(9)}, consent.Rules{})
	want := consent.Person{
		Known: true, FirstSeen: minute(1), Updated: minute(5),
		Email: "q@x.test", FirstName: "Ines", LastName: "Roca", FullName: "Ines Roca",
	}
	if diff := cmp.Diff(want, got, cmp.Transformer("reveal", redact.String.Reveal)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestFold_past(t *testing.T) {
	t.Parallel()
	events := []consent.Event{
		profiled("a", 1, private, email("q")), profiled("b", 5, private, email("r")),
		{ID: "c", Kind: consent.KindSubject, Source: private, Claimed: minute(3), Received: minute(8), Profile: email("s")},
	}
	for name, tt := range map[string]struct {
		view consent.View
		want string
	}{
		"now":                     {consent.View{Now: minute(9)}, "r"},
		"then, as known now":      {consent.View{Now: minute(9), At: minute(4)}, "s"},
		"then, as known then":     {consent.View{Now: minute(9), At: minute(4), KnownAt: minute(4)}, "q"},
		"before there was anyone": {consent.View{Now: minute(9), At: minute(0)}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := consent.Fold(events, tt.view, consent.Rules{})
			if p.Email.Reveal() != tt.want || p.Known != (tt.want != "") {
				t.Errorf("e-mail %q, known %v; want %q", p.Email.Reveal(), p.Known, tt.want)
			}
		})
	}
}
