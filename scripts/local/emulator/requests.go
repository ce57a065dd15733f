package emulator

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"
	sestypes "github.com/aws/aws-sdk-go-v2/service/sesv2/types"

	"github.com/avow-consent/avow/scripts/local/cfn"
)

// Domains may send letters in the emulator: the ones that are kept for examples
// (RFC 2606), since SES sends for nobody who has not proven a domain or address.
var Domains = []string{"example.com", "example.net", "example.org", "example.test", "avow.test", "shop.example", "company.example"}

// signingKey makes a key and the alias that finds it. Two processes that start
// at once may make two keys; the alias names one of them.
func signingKey(ctx context.Context, service *kms.Client, k cfn.SigningKey) error {
	if k.Alias == "" {
		return fmt.Errorf("creating key %s: it has no alias to find it by", k.ID)
	}
	_, err := service.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: &k.Alias})
	if err == nil {
		return nil
	}
	if missing := (*kmstypes.NotFoundException)(nil); !errors.As(err, &missing) {
		return fmt.Errorf("looking for key %s: %w", k.Alias, err)
	}
	made, err := service.CreateKey(ctx, &kms.CreateKeyInput{KeySpec: kmstypes.KeySpec(k.Spec), KeyUsage: kmstypes.KeyUsageType(k.Usage)})
	if err == nil {
		_, err = service.CreateAlias(ctx, &kms.CreateAliasInput{AliasName: &k.Alias, TargetKeyId: made.KeyMetadata.KeyId})
	}
	if exists := (*kmstypes.AlreadyExistsException)(nil); err != nil && !errors.As(err, &exists) {
		return fmt.Errorf("creating key %s: %w", k.Alias, err)
	}
	return nil
}

func sender(ctx context.Context, service *sesv2.Client, s cfn.Sender) error {
	_, err := service.CreateConfigurationSet(ctx, &sesv2.CreateConfigurationSetInput{ConfigurationSetName: &s.Name})
	if exists := (*sestypes.AlreadyExistsException)(nil); err != nil && !errors.As(err, &exists) {
		return fmt.Errorf("creating configuration set %s: %w", s.Name, err)
	}
	return nil
}

func identity(ctx context.Context, service *sesv2.Client, domain string) error {
	_, err := service.CreateEmailIdentity(ctx, &sesv2.CreateEmailIdentityInput{EmailIdentity: &domain})
	if exists := (*sestypes.AlreadyExistsException)(nil); err != nil && !errors.As(err, &exists) {
		return fmt.Errorf("creating identity %s: %w", domain, err)
	}
	return nil
}
