package archtest

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
)

// A condition function of CloudFormation, as far as the Rules section needs it.
func holdsFor(v any, values map[string]string) (any, error) {
	m, ok := v.(map[string]any)
	if !ok || len(m) != 1 {
		return v, nil
	}
	for name, argument := range m {
		if name == "Ref" {
			value, ok := values[fmt.Sprint(argument)]
			if !ok {
				return nil, fmt.Errorf("the rules refer to %v", argument)
			}
			return value, nil
		}
		var args []any
		for _, a := range list(argument) {
			value, err := holdsFor(a, values)
			if err != nil {
				return nil, err
			}
			args = append(args, value)
		}
		switch {
		case name == "Fn::Not" && len(args) == 1:
			return args[0] == false, nil
		case name == "Fn::Equals" && len(args) == 2:
			return args[0] == args[1], nil
		case name == "Fn::Contains" && len(args) == 2:
			return slices.Contains(list(args[0]), args[1]), nil
		}
		return nil, fmt.Errorf("%s is not a function that rules use here", name)
	}
	return nil, nil
}

// broken are the descriptions of the assertions that do not hold.
func broken(t *testing.T, rules map[string]rule, values map[string]string) []string {
	t.Helper()
	var descriptions []string
	for name, r := range rules {
		applies, err := holdsFor(r.RuleCondition, values)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if applies == false {
			continue
		}
		for _, a := range r.Assertions {
			holds, err := holdsFor(a.Assert, values)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if holds != true {
				descriptions = append(descriptions, a.AssertDescription)
			}
		}
	}
	return descriptions
}

type rule struct {
	RuleCondition any
	Assertions    []struct {
		Assert            any
		AssertDescription string
	}
}

// TestRules evaluates the Rules of template.yaml: personal data leaves the EU
// only on a stated ground.
func TestRules(t *testing.T) {
	t.Parallel()
	var doc struct{ Rules map[string]rule }
	if err := json.Unmarshal(expandTemplate(t), &doc); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		region, basis, domain, certificate string
		want                               string // part of what is said; empty: accepted
	}{
		"Frankfurt":                  {region: "eu-central-1"},
		"Stockholm":                  {region: "eu-north-1"},
		"Milan":                      {region: "eu-south-1"},
		"Spain":                      {region: "eu-south-2", want: "SES"},
		"Ireland":                    {region: "eu-west-1"},
		"Paris":                      {region: "eu-west-3"},
		"sovereign cloud":            {region: "eusc-de-east-1"},
		"London":                     {region: "eu-west-2", want: "TransferBasis"},
		"Zurich":                     {region: "eu-central-2", want: "TransferBasis"},
		"Virginia":                   {region: "us-east-1", want: "TransferBasis"},
		"Virginia with a ground":     {region: "us-east-1", basis: "Art. 46, SCC 2021/914"},
		"domain":                     {region: "eu-west-1", domain: "consent.example", certificate: "arn"},
		"domain without certificate": {region: "eu-west-1", domain: "consent.example", want: "CertificateArn"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			said := broken(t, doc.Rules, map[string]string{
				"AWS::Region": tt.region, "TransferBasis": tt.basis, "DomainName": tt.domain, "CertificateArn": tt.certificate,
			})
			if tt.want == "" {
				catches(t, said)
			} else {
				catches(t, said, tt.want)
			}
		})
	}
}
