package attack_test

func playStarved() {}
