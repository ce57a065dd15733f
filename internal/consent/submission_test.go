package consent_test

import (
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/redact"
)

func fullSubmission() *consent.Submission {
	text := func(s string) *consent.Text { return &consent.Text{Value: redact.String(s)} }
	content, form := redact.String(`{"email":"q"}`), redact.String("<form>")
	return &consent.Submission{
		Source: consent.Private, IdempotencyKey: "key", Token: "token",
		Timestamp: minutePtr(1), SentAt: minutePtr(2), DeviceTime: minutePtr(3), ExpiresAt: minutePtr(4),
		SubjectID: "cust-1",
		Profile: consent.Profile{
			Email: text("q@x.test"), FirstName: text("a"), LastName: text("b"), FullName: text("c"),
			Verified: &consent.Flag{Value: true},
			Phones:   &consent.Phones{List: []consent.Phone{{Number: "+1", Label: "home"}, {Number: "+2"}}},
		},
		Preferences:  []consent.Preference{{Key: "news", Value: "true"}, {Key: "ads", Value: "false"}},
		LegalNotices: []consent.NoticeRef{{Identifier: "terms", Version: "2"}, {Identifier: "privacy"}},
		Proofs:       []consent.ProofText{{Content: &content, Form: &form}, {Form: &form}},
		DocumentIDs:  []string{"d1", "d2"},
		OptIn:        &consent.OptInRequest{Channel: consent.ByEmail, Language: "fr"},
		ConsentType:  "cookie_policy", Act: consent.Import, Original: consent.Public, GPC: true,
		SignalGPC: true, IP: "203.0.113.7", IPGiven: true, NoIP: true,
		Shown: []consent.ProofText{{}}, Objected: []string{"sale"},
	}
}

// What a client states is part of the request; what the transport adds is not.
func TestSubmission_digest(t *testing.T) {
	t.Parallel()
	other, empty := redact.String("other"), redact.String("")
	for name, tt := range map[string]struct {
		change func(*consent.Submission)
		same   bool
	}{
		"nothing":              {func(*consent.Submission) {}, true},
		"idempotency key":      {func(s *consent.Submission) { s.IdempotencyKey = "other" }, true},
		"sent_at":              {func(s *consent.Submission) { s.SentAt = minutePtr(9) }, true},
		"no sent_at":           {func(s *consent.Submission) { s.SentAt = nil }, true},
		"what was shown":       {func(s *consent.Submission) { s.Shown, s.Objected = nil, nil }, true},
		"signal in a header":   {func(s *consent.Submission) { s.SignalGPC = false }, true},
		"order of preferences": {func(s *consent.Submission) { s.Preferences[0], s.Preferences[1] = s.Preferences[1], s.Preferences[0] }, true},
		"zone of a time":       {func(s *consent.Submission) { at := s.Timestamp.In(time.FixedZone("", 3600)); s.Timestamp = &at }, true},

		"class of the key":       {func(s *consent.Submission) { s.Source = consent.Public }, false},
		"token":                  {func(s *consent.Submission) { s.Token = "" }, false},
		"timestamp":              {func(s *consent.Submission) { s.Timestamp = minutePtr(2) }, false},
		"no timestamp":           {func(s *consent.Submission) { s.Timestamp = nil }, false},
		"device time":            {func(s *consent.Submission) { s.DeviceTime = nil }, false},
		"expiry":                 {func(s *consent.Submission) { s.ExpiresAt = minutePtr(5) }, false},
		"times change places":    {func(s *consent.Submission) { s.DeviceTime, s.ExpiresAt = s.ExpiresAt, s.DeviceTime }, false},
		"subject id":             {func(s *consent.Submission) { s.SubjectID = "cust-2" }, false},
		"e-mail":                 {func(s *consent.Submission) { s.Profile.Email = nil }, false},
		"e-mail cleared":         {func(s *consent.Submission) { s.Profile.Email = &consent.Text{Null: true} }, false},
		"names change places":    {func(s *consent.Submission) { p := &s.Profile; p.FirstName, p.LastName = p.LastName, p.FirstName }, false},
		"full name":              {func(s *consent.Submission) { s.Profile.FullName = nil }, false},
		"verified":               {func(s *consent.Submission) { s.Profile.Verified = &consent.Flag{} }, false},
		"verified cleared":       {func(s *consent.Submission) { s.Profile.Verified = &consent.Flag{Null: true} }, false},
		"phones cleared":         {func(s *consent.Submission) { s.Profile.Phones = &consent.Phones{Null: true} }, false},
		"order of phones":        {func(s *consent.Submission) { l := s.Profile.Phones.List; l[0], l[1] = l[1], l[0] }, false},
		"label of a phone":       {func(s *consent.Submission) { s.Profile.Phones.List[0].Label = "work" }, false},
		"one phone less":         {func(s *consent.Submission) { s.Profile.Phones.List = s.Profile.Phones.List[:1] }, false},
		"value of a preference":  {func(s *consent.Submission) { s.Preferences[0].Value = `"true"` }, false},
		"key of a preference":    {func(s *consent.Submission) { s.Preferences[0].Key = "New" }, false},
		"key runs into value":    {func(s *consent.Submission) { s.Preferences[0] = consent.Preference{Key: "newst", Value: "rue"} }, false},
		"one preference less":    {func(s *consent.Submission) { s.Preferences = s.Preferences[:1] }, false},
		"notice":                 {func(s *consent.Submission) { s.LegalNotices[0].Version = "3" }, false},
		"order of notices":       {func(s *consent.Submission) { l := s.LegalNotices; l[0], l[1] = l[1], l[0] }, false},
		"no notices":             {func(s *consent.Submission) { s.LegalNotices = nil }, false},
		"content":                {func(s *consent.Submission) { s.Proofs[0].Content = &other }, false},
		"no content":             {func(s *consent.Submission) { s.Proofs[0].Content = nil }, false},
		"empty content":          {func(s *consent.Submission) { s.Proofs[1].Content = &empty }, false},
		"content becomes form":   {func(s *consent.Submission) { p := &s.Proofs[0]; p.Content, p.Form = p.Form, p.Content }, false},
		"order of proofs":        {func(s *consent.Submission) { l := s.Proofs; l[0], l[1] = l[1], l[0] }, false},
		"documents":              {func(s *consent.Submission) { s.DocumentIDs = []string{"d1d2"} }, false},
		"consent type":           {func(s *consent.Submission) { s.ConsentType = "" }, false},
		"act":                    {func(s *consent.Submission) { s.Act = consent.Paper }, false},
		"original source":        {func(s *consent.Submission) { s.Original = consent.Private }, false},
		"signal in the body":     {func(s *consent.Submission) { s.GPC = false }, false},
		"address in the body":    {func(s *consent.Submission) { s.IP = "203.0.113.8" }, false},
		"no address in the body": {func(s *consent.Submission) { s.IP, s.IPGiven = "", false }, false},
		"channel":                {func(s *consent.Submission) { s.OptIn = &consent.OptInRequest{Channel: consent.ByWhatsApp} }, false},
		"language":               {func(s *consent.Submission) { s.OptIn = &consent.OptInRequest{Channel: consent.ByEmail} }, false},
		"no address wanted":      {func(s *consent.Submission) { s.NoIP = false }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want, s := fullSubmission().Digest(), fullSubmission()
			tt.change(s)
			if same := s.Digest() == want; same != tt.same {
				t.Errorf("the same request: %v, want %v", same, tt.same)
			}
		})
	}
}

// The caller's own address, which the transport adds, is no part of a request.
func TestSubmission_digestWithoutAddress(t *testing.T) {
	t.Parallel()
	one, two := fullSubmission(), fullSubmission()
	one.IPGiven, two.IPGiven = false, false
	one.IP, two.IP = "203.0.113.7", "203.0.113.8"
	if one.Digest() != two.Digest() {
		t.Error("a retry from another network is another request")
	}
}

// Every field of a submission has been thought of: a new one must be added to
// the digest or to this list.
func TestSubmission_digestKnowsEveryField(t *testing.T) {
	t.Parallel()
	outside := map[string]bool{"IdempotencyKey": true, "SentAt": true, "SignalGPC": true, "Shown": true, "Objected": true}
	want := fullSubmission().Digest()
	fields := reflect.TypeFor[consent.Submission]()
	for i := range fields.NumField() {
		s := fullSubmission()
		reflect.ValueOf(s).Elem().Field(i).SetZero()
		if changed := s.Digest() != want; changed == outside[fields.Field(i).Name] {
			t.Errorf("%s: without it the digest changes: %v", fields.Field(i).Name, changed)
		}
	}
}

// Two lists of texts never give the same digest by running into each other.
func TestSubmission_digestIsInjective(t *testing.T) {
	t.Parallel()
	draw := func(t *rapid.T, label string) *consent.Submission {
		part := rapid.StringOfN(rapid.SampledFrom([]rune("ab")), 0, 2, -1)
		s := &consent.Submission{Source: consent.Public, SubjectID: redact.String(part.Draw(t, label+" subject")), ConsentType: part.Draw(t, label+" type")}
		for range rapid.IntRange(0, 2).Draw(t, label+" notices") {
			s.LegalNotices = append(s.LegalNotices, consent.NoticeRef{Identifier: part.Draw(t, label), Version: part.Draw(t, label)})
		}
		for range rapid.IntRange(0, 2).Draw(t, label+" documents") {
			s.DocumentIDs = append(s.DocumentIDs, part.Draw(t, label))
		}
		return s
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := draw(t, "a"), draw(t, "b")
		if (a.Digest() == b.Digest()) != reflect.DeepEqual(a, b) {
			t.Fatalf("%+v and %+v", a, b)
		}
	})
}

func TestEvent_checksumCoversWhatIsShown(t *testing.T) {
	t.Parallel()
	event := func() *consent.Event {
		return &consent.Event{
			ID: "a", Kind: consent.KindConsent, Site: "shop", SubjectID: "cust-1", Source: consent.Public, Act: consent.WebForm,
			Claimed: minute(1), Received: minute(2), Corrected: minutePtr(3), SentAt: minutePtr(4), DeviceTime: minutePtr(5), ExpiresAt: minutePtr(6),
			Profile: email("q"), Preferences: []consent.Preference{{Key: "news", Value: "true"}}, Objected: []string{"ads"}, GPC: true, Undated: true,
			LegalNotices: []consent.NoticeRef{{Identifier: "terms"}}, Proofs: []consent.Proof{{HasContent: true, Content: "c", ContentDigest: "d", FormDigest: "f", FormNonce: "n"}},
			DocumentIDs: []string{"d1"}, IP: "203.0.113.7", ConsentType: "t", Token: consent.TokenValid, Request: [32]byte{1},
			All: true, Lifted: true, Case: "r",
			OptIn: &consent.OptIn{Channel: consent.ByEmail, Address: "q@x.test"}, Confirms: &consent.Confirmation{Consent: "b"},
		}
	}
	want := event().Checksum()
	if len(want) != 64 || event().Checksum() != want {
		t.Errorf("checksum %q", want)
	}
	// These only say where the row stands, and that it is gone.
	outside := map[string]bool{"Subject": true, "KeyID": true, "Shards": true, "ErasedAt": true}
	fields := reflect.TypeFor[consent.Event]()
	for i := range fields.NumField() {
		e := event()
		reflect.ValueOf(e).Elem().Field(i).SetZero()
		if name := fields.Field(i).Name; !outside[name] && e.Checksum() == want {
			t.Errorf("the checksum does not cover %s", name)
		}
	}
}

func TestNoticeRef_number(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]int{
		"1": 1, "123": 123, "2.0": 2, "123.0": 123,
		"": 0, "0": 0, "-1": 0, "2.5": 0, "v2": 0, "2.0.0": 0, " 2": 0, "99999999999999999999": 0,
	} {
		got, ok := consent.NoticeRef{Version: version}.Number()
		if ok != (want > 0) || ok && got != want {
			t.Errorf("%q is version %d, %v; want %d", version, got, ok, want)
		}
	}
}
