package dynamo_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/awstest"
	"github.com/avow-consent/avow/internal/dynamo"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/faulty"
	"github.com/avow-consent/avow/internal/site"
)

func siteTable(t testing.TB) (*awstest.Env, *dynamo.Sites) {
	t.Helper()
	env := awstest.New(t)
	return env, dynamo.NewSites(env.Config, env.Getenv("SITES_TABLE"))
}

func createSite(t testing.TB, s *dynamo.Sites, n *site.Site) {
	t.Helper()
	if err := s.Create(t.Context(), n); err != nil {
		t.Fatal(err)
	}
}

func TestSites_createAndRead(t *testing.T) {
	t.Parallel()
	_, s := siteTable(t)
	for name, want := range map[string]*site.Site{
		"bare": {ID: "bare", Shards: 1},
		"full": {
			ID: "full", Name: "Büro <&>", Shards: 64, Settings: site.Settings{PublicGrants: site.Latest, BackdateDays: 7},
			Register:        []site.Purpose{{Key: "<news>", Purpose: map[string]string{"en": "News", "fr": "Actualités"}, LegalBasis: "consent", Channel: "email", ValidityDays: 30, SaleOrSharing: true}},
			RegisterVersion: 3, TokenKeys: []site.TokenKey{{ID: "k1", Secret: "name", Revoked: true}},
		},
	} {
		createSite(t, s, want)
		got, err := s.Site(t.Context(), want.ID)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-put +got):\n%s", name, diff)
		}
		if err := s.Create(t.Context(), &site.Site{ID: want.ID, Name: "another"}); !errs.Is(err, errs.Conflict) {
			t.Errorf("%s, another one: %v", name, err)
		}
		if err := s.Create(t.Context(), want); err != nil {
			t.Errorf("%s, the same once more: %v", name, err)
		}
		if again, err := s.Site(t.Context(), want.ID); err != nil || again.Name != want.Name {
			t.Errorf("%s: %v, %v", name, again, err)
		}
	}
	if got, err := s.Site(t.Context(), "nowhere"); got != nil || !errs.Is(err, errs.NotFound) {
		t.Errorf("%v, %v; want not found", got, err)
	}
}

func TestSites_damaged(t *testing.T) {
	t.Parallel()
	env, s := siteTable(t)
	for _, attribute := range []string{"settings", "register", "tokenKeys"} {
		if _, err := dynamodb.NewFromConfig(env.Config).PutItem(t.Context(), &dynamodb.PutItemInput{
			TableName: aws.String(env.Getenv("SITES_TABLE")),
			Item:      map[string]types.AttributeValue{"site": &types.AttributeValueMemberS{Value: "shop"}, attribute: &types.AttributeValueMemberS{Value: "{["}},
		}); err != nil {
			t.Fatal(err)
		}
		// Rules that cannot be read must not become the default ones.
		if got, err := s.Site(t.Context(), "shop"); got != nil || !errs.Is(err, errs.Internal) {
			t.Errorf("%s: %v, %v", attribute, got, err)
		}
	}
}

func TestSites_putRegister(t *testing.T) {
	t.Parallel()
	_, s := siteTable(t)
	createSite(t, s, &site.Site{ID: "shop", Shards: 1})
	register := []site.Purpose{{Key: "news"}}
	if v, err := s.PutRegister(t.Context(), "shop", register, 0); err != nil || v != 1 {
		t.Fatalf("version %d, %v", v, err)
	}
	if _, err := s.PutRegister(t.Context(), "shop", nil, 0); !errs.Is(err, errs.Conflict) {
		t.Errorf("over an older version: %v", err)
	}
	if _, err := s.PutRegister(t.Context(), "nowhere", register, 0); !errs.Is(err, errs.Conflict) {
		t.Errorf("of no site: %v", err)
	}
	got, err := s.Site(t.Context(), "shop")
	if err != nil || got.RegisterVersion != 1 || !cmp.Equal(got.Register, register) {
		t.Errorf("%+v, %v", got, err)
	}

	// Of racing writers that read the same version one wins.
	var wg sync.WaitGroup
	var mu sync.Mutex
	won := 0
	for i := range 16 {
		wg.Go(func() {
			_, err := s.PutRegister(t.Context(), "shop", []site.Purpose{{Key: fmt.Sprint(i)}}, 1)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won++
			} else if !errs.Is(err, errs.Conflict) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got, err := s.Site(t.Context(), "shop"); won != 1 || err != nil || got.RegisterVersion != 2 {
		t.Errorf("%d have won, %+v, %v", won, got, err)
	}
}

func TestSites_putTokenKeys(t *testing.T) {
	t.Parallel()
	_, s := siteTable(t)
	createSite(t, s, &site.Site{ID: "shop", Shards: 1})
	one, two := site.TokenKey{ID: "k1", Secret: "a"}, site.TokenKey{ID: "k2", Secret: "b"}
	if err := s.PutTokenKeys(t.Context(), "shop", nil, []site.TokenKey{one}); err != nil {
		t.Fatal(err)
	}
	if err := s.PutTokenKeys(t.Context(), "shop", nil, []site.TokenKey{two}); !errs.Is(err, errs.Conflict) {
		t.Errorf("beside a key that was not read: %v", err)
	}
	if err := s.PutTokenKeys(t.Context(), "shop", []site.TokenKey{one}, []site.TokenKey{one, two}); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Site(t.Context(), "shop"); err != nil || !cmp.Equal(got.TokenKeys, []site.TokenKey{one, two}) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestSites_addMonth(t *testing.T) {
	t.Parallel()
	env, s := siteTable(t)
	createSite(t, s, &site.Site{ID: "shop", Shards: 1})
	for _, month := range []string{"2026-03", "2026-02", "2026-03", "2025-12"} {
		if err := s.AddMonth(t.Context(), "shop", month); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := s.Site(t.Context(), "shop"); err != nil || !slices.Equal(got.Months, []string{"2025-12", "2026-02", "2026-03"}) {
		t.Errorf("%v, %v", got.Months, err)
	}
	if err := s.AddMonth(t.Context(), "nowhere", "2026-02"); err != nil || count(t, env, "SITES_TABLE") != 1 {
		t.Errorf("a month of no site: %v, %d rows", err, count(t, env, "SITES_TABLE"))
	}
}

// A write whose reply was lost is tried again, and is one.
func TestSites_lostReply(t *testing.T) {
	t.Parallel()
	for _, fault := range faulty.After {
		env, _ := siteTable(t)
		net := &faulty.Transport{}
		cfg := env.With(net.Wrap).Config
		cfg.Retryer = faulty.Impatient
		s := dynamo.NewSites(cfg, env.Getenv("SITES_TABLE"))
		first, second := site.TokenKey{ID: "k"}, site.TokenKey{ID: "l"}
		net.Break(faulty.Nth("dynamodb.PutItem", 1, fault))
		if err := s.Create(t.Context(), &site.Site{ID: "shop", Name: "Shop", Shards: 2, TokenKeys: []site.TokenKey{first}}); err != nil {
			t.Errorf("create, %v: %v", fault, err)
		}
		register := []site.Purpose{{Key: "news", Purpose: map[string]string{"en": "News"}}}
		net.Break(faulty.Nth("dynamodb.UpdateItem", 1, fault))
		if v, err := s.PutRegister(t.Context(), "shop", register, 0); err != nil || v != 1 {
			t.Errorf("register, %v: version %d, %v", fault, v, err)
		}
		net.Break(faulty.Nth("dynamodb.UpdateItem", 1, fault))
		if err := s.PutTokenKeys(t.Context(), "shop", []site.TokenKey{first}, []site.TokenKey{first, second}); err != nil {
			t.Errorf("token key, %v: %v", fault, err)
		}
		got, err := s.Site(t.Context(), "shop")
		if err != nil || got.RegisterVersion != 1 || !cmp.Equal(got.Register, register) || !cmp.Equal(got.TokenKeys, []site.TokenKey{first, second}) {
			t.Errorf("%v: %+v, %v", fault, got, err)
		}
	}
}

func TestSites_unavailable(t *testing.T) {
	t.Parallel()
	env, good := siteTable(t)
	createSite(t, good, &site.Site{ID: "shop", Shards: 1})
	net := &faulty.Transport{}
	cfg := env.With(net.Wrap).Config
	cfg.RetryMaxAttempts = 1
	s := dynamo.NewSites(cfg, env.Getenv("SITES_TABLE"))
	net.Break(func(faulty.Call) faulty.Fault { return faulty.Throttled })
	_, err1 := s.Site(t.Context(), "shop")
	_, err2 := s.PutRegister(t.Context(), "shop", nil, 0)
	for i, err := range []error{
		err1, err2, s.Create(t.Context(), &site.Site{ID: "b"}), s.AddMonth(t.Context(), "shop", "2026-02"),
		s.PutTokenKeys(t.Context(), "shop", nil, []site.TokenKey{{}}),
	} {
		if !errs.Is(err, errs.Unavailable) {
			t.Errorf("call %d: %v", i+1, err)
		}
	}
}
